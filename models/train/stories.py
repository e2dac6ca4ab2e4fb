"""Short stories with a remembered state, and questions about them.

A story is built from a dictionary of variables.  Every plot gets the same state
(who, friend, object, place, weather ...), so the end agrees with the beginning,
and each plot returns (text, facts) where facts are (question, answer) templates.
"""
from grammar import expand
import words as w


def _person(rng, prefix, taken):
    """Invent one character; returns variables for it."""
    while True:
        kind = rng.random()
        if kind < 0.62:
            girl = rng.random() < 0.5
            name = rng.choice(w.GIRLS if girl else w.BOYS)
            species, he = ("girl", "she") if girl else ("boy", "he")
        else:
            name, species = rng.choice(w.PETS), rng.choice(w.ANIMALS)
            he = rng.choice(("he", "she"))
        if name not in taken:
            break
    taken.add(name)
    out = {prefix + "N": name, prefix + "kind": species}
    out.update(w.pronouns(prefix, he))
    return out


def make_state(rng):
    """Draw the facts of one story world."""
    taken = set()
    s = {}
    s.update(_person(rng, "", taken))
    s.update(_person(rng, "f", taken))
    s.update(_person(rng, "g", taken))
    rel, he = rng.choice(w.RELATIVES)
    s["rel"] = rel
    s.update(w.pronouns("r", he))
    s["p"], s["p2"] = rng.sample(w.PLACES, 2)
    s["weather"] = rng.choice(list(w.WEATHER))
    s["sky"] = rng.choice(w.WEATHER[s["weather"]])
    s["time"] = rng.choice(w.TIMES)
    s["day"] = rng.choice(w.DAYS)
    s["color"], s["color2"] = rng.sample(w.COLORS, 2)
    s["thing"], s["thing2"] = rng.sample(w.TOYS, 2)
    s["t1"], s["t2"] = rng.sample(w.TRAITS, 2)
    s["good"] = rng.choice(w.FEEL_GOOD)
    s["food"] = rng.choice(w.FOODS)
    s["pet"] = rng.choice(w.SMALL_ANIMALS)
    s["home"] = expand(rng, rng.choice(w.HOMES), s)
    s["home"] = s["home"][0].lower() + s["home"][1:]
    s["n"] = rng.choice(w.NUMBERS[2:11])
    s["adj"] = rng.choice(("small", "little", "young"))
    return s


OPEN = """{Once upon a time, there was|Once upon a time, there was|Once upon a time, there lived|Long ago, there was|There was once|
There was} a <adj> <kind> {named|called} <N>. """.replace("\n", "")
ABOUT = ["<N> lived in <home>{| with <his> family}. ", "<N> was {very |}<t1> and <t2>. ",
         "Everyone {said|knew} that <N> was {very |}<t1>. ", "<His> best friend was a <fkind> {named|called} <fN>. ",
         "<He> liked to {play|walk|sing|read|dream} near <p>. ", "<N> loved {stories|music|warm days|<food>|long walks} {very much|more than anything}. "]
ALT_OPEN = ["<N> was a {very |}<t1> <kind> who lived in <home>. ",
            "{On|Every} <day>, <N><t> went to <p>{| with a <color2> <thing2>}. ",
            "In <home> lived a <adj> <kind> named <N>. ",
            "<N><t> and <fN><ft> were {good|best|old} friends. "]
WHEN = ["One {|<weather> }<time>, ", "One <day>, ", "One <day> <time>, ", "One day, "]
SKY = ["{|That day }<sky>. ", "<sky>, {and the air was {fresh|cold|still}|and the birds were quiet|and everything looked new}. ", "", ""]
MORAL = ["From that day on, <N> and <fN> were {the best of friends|always together|never lonely}. ",
         "<N> {never forgot|always remembered} that <time>. ", "And they {all |}lived happily ever after. ",
         "<N> had learned that it is {good|better} to {help|share|be kind|tell the truth|ask for help}. ",
         "That night, <N> slept {very |}well and dreamed of {<p>|the stars|<food>|tomorrow}. ",
         "<N> smiled all the way home. ", "It was {the best <day> of the year|a wonderful <day>}. ", "The end. "]


def _opening(rng, friends):
    about = [a for a in ABOUT if friends or "<fN>" not in a]
    start = ALT_OPEN if friends else ALT_OPEN[:-1]
    if rng.random() < 0.7:
        text = OPEN + "".join(rng.sample(about, rng.choice((1, 2, 2, 3))))
    else:
        text = rng.choice(start) + "".join(rng.sample(about[1:], rng.choice((0, 1, 2))))
    return text


LOST = ["<N> had a <color> <thing>. It was a {gift|present} from <his> <rel>, and <N> {took it everywhere|loved it very much}. ",
        "{$WHEN}the <color> <thing> was gone. <N> felt <bad>. {\"Where is my <thing>?\" <he> {asked|cried}. |\"I have lost my <thing>!\" <he> cried. }",
        "<N> looked <h1>, but {it was not there|there was nothing}. Then <he> looked <h2>, but {it was not there either|the <thing> was not there}. ",
        "{Then|After a while,|Soon} <fN><ft> came {along|by}. \"{What is wrong|Why are you so <bad>}, <N>?\" <fhe> asked. \"I cannot find my <thing>,\" said <N>. \"{Do not worry|Do not cry}. I will help you,\" said <fN>. ",
        "{They looked everywhere. |Together they searched {all day|for a long time|near <p>}. |}{At last|In the end|Finally}, <fN> found the <color> <thing> <h3>. ",
        "\"{Thank you|Oh, thank you}, <fN>!\" said <N>. <He> {was {very |so }<good> and hugged <fN>|hugged <fN>|felt <good> again}. "]
LOST_QA = [("What did <N> lose?", "<N> lost <his> <color> <thing>."), ("Who helped <N>?", "<fN><ft> helped <N>."),
           ("Where was the <thing>?", "The <thing> was <h3>."), ("Who found the <thing>?", "<fN> found the <thing>."),
           ("What color was the <thing>?", "The <thing> was <color>."), ("Who gave <N> the <thing>?", "<His> <rel> gave <him> the <thing>.")]

RESCUE = ["{$WHEN}<N> {went|walked} to <p>. {$SKY}", "There <he> heard a {small|soft|strange} {sound|cry}. A {tiny|little} <pet> was {stuck|hurt|lost|caught} <h1>. ",
          "\"{Do not be afraid|Do not worry}, little <pet>,\" said <N>. \"I will help you.\" But <he> could not do it alone. ",
          "So <N> ran to <his> <rel> and {told <rhim> everything|asked for help}. <rHe> brought a {rope|ladder|basket|warm blanket|long stick} and {came|went} with <him> {at once|right away}. ",
          "Together they {helped|saved} the <pet>. The <pet> was {cold and hungry|tired but safe|very small and soft}. <N> gave it some {milk|water|bread|warm soup} and {put it in|wrapped it in} a <color> blanket. ",
          "{The next day|After some days|In the morning}, the <pet> was {well|strong|healthy} again. It {danced around <N>|stayed close to <N>|looked at <N> with bright eyes}. \"You have a {good|kind} heart,\" said <his> <rel>. <N> felt <good>. "]
RESCUE_QA = [("Where was the <pet>?", "The <pet> was <h1>."), ("Who helped <N>?", "<His> <rel> helped <him>."),
             ("What animal did <N> help?", "<N> helped a <pet>."), ("What color was the blanket?", "The blanket was <color>."),
             ("How did <N> feel?", "<N> felt <good>.")]

SHARE = ["{$WHEN}<N> and <fN> found a <color> <thing> <h1>. {$SKY}", "\"It is mine!\" said <N>. \"I saw it first.\" \"No, it is mine!\" said <fN><ft>. {They both pulled the <thing>, and it almost broke. |They were both angry, and nobody wanted to play. }",
         "{Just then|At that moment}, <N>'s <rel> came to <p>. \"{Why are you fighting|What is the matter}?\" <rhe> asked. \"We both want the <thing>,\" {said|explained} <fN>. ",
         "\"{You can share it|You must share it},\" said the <rel>. \"<N> can have it in the morning, and <fN> can have it in the evening.\" ",
         "The two friends {looked at each other|thought about it}. \"{I am sorry|That is fair},\" said <N>. \"{I am sorry too|Yes, let us share},\" said <fN>. ",
         "{After that|From then on}, they {shared|took turns with} the <color> <thing>, and {it was more fun than before|both of them were <good>}. "]
SHARE_QA = [("What did <N> and <fN> find?", "They found a <color> <thing>."), ("Where did they find the <thing>?", "They found it <h1>."),
            ("Who can have the <thing> in the evening?", "<fN> can have it in the evening."), ("Who can have the <thing> in the morning?", "<N> can have it in the morning."),
            ("What color was the <thing>?", "The <thing> was <color>.")]

STORM = ["{$WHEN}<N> was {at home|in bed|in <his> room}. {Outside, |}{there was a {great|loud} storm|the wind was loud and the rain was heavy|thunder shook the windows}. {Then the lights went out. |}",
         "<N> was {afraid|scared} of {the dark|the thunder|the storm}. <He> hid {under the blanket|<h1>} and held <his> <color> <thing>. ",
         "{Then|After a moment} <his> <rel> came {in|into the room} with a {candle|lamp|small light}. \"{Are you afraid|Are you all right}, <N>?\" <rhe> asked. \"Yes,\" {whispered|said} <N>. \"{It is so loud|It is so dark}.\" ",
         "\"{It is only a storm|A storm cannot hurt us here},\" said the <rel>. \"{Let us count|Count} between the light and the thunder. {Every time, the storm is a little farther away|Then you will know that it is moving away}.\" They counted to <n>. ",
         "{They ate <food> and told each other {funny stories|stories}. |They sang a {quiet|little} song together. |They made shapes with their hands on the wall. }{Soon|After a while}, the storm was over{| and the moon came out}. ",
         "<N> was not afraid anymore. \"{Storms are not so bad|I was brave},\" <he> said, {and <he> fell asleep|and <his> <rel> smiled}. "]
STORM_QA = [("Who came into the room?", "<His> <rel> came into the room."), ("What was <N> holding?", "<N> was holding a <color> <thing>."),
            ("How far did they count?", "They counted to <n>."), ("Was <N> afraid at the end?", "No, <N> was not afraid anymore.")]

BUILD = ["{$WHEN}<N> wanted to build a {$MAKE}. \"{I can do it alone|I do not need any help},\" <he> said. {$SKY}",
         "<He> {took|found} some {wood|boxes|old boards} and {some |}{nails|rope|string} and worked all <time>. But the <make> <fell>. <N> was <bad>. ",
         "<fN><ft> {saw this|was watching}. \"{May I help you|Can I help}?\" asked <fN>. {At first, <N> said no. Then <he> thought about it. |}\"Yes, please,\" said <N>. ",
         "<N> held the boards, and <fN> {used the hammer|tied the rope|put everything together}. {Their friend <gN> brought <color> paint. |<gN><gt> brought <color> paint and <food>. }",
         "{When the <time> was over|After <n> days|When they were done}, the <make> was {ready|finished}. It was <color>, and it was {strong|beautiful|perfect}. ",
         "\"We did it!\" {cried|said} <N>. \"{It is easier when we work together|I could not do it without you}.\" <fN> was <good>. "]
BUILD_QA = [("What did <N> build?", "<N> built a <make>."), ("Who helped <N>?", "<fN> and <gN> helped <N>."), ("What color was the <make>?", "The <make> was <color>."),
            ("Who brought the paint?", "<gN> brought the paint."), ("Why was <N> <bad>?", "<N> was <bad> because the <make> <fell>.")]

PARTY = ["{$WHEN}it was <fN>'s birthday<ft>. <N> wanted to give <fhim> a {present|surprise}, but <he> had no money. {$SKY}",
         "<N> thought {and thought|for a long time}. \"{I know|I have an idea}!\" <he> said. \"I will make <food> for <fN>.\" ",
         "<He> went to <p> and {got|found|brought home} some {eggs and milk|flour and sugar|fruit and butter}. <His> <rel> showed <him> {what to do|how to do it}. {The kitchen smelled {sweet|wonderful}. |}",
         "When it was done, <N> put it in a <color> {box|basket|bag} and {carried it|walked} to <fN>'s house. <gN> was there too. <gHe> had brought a <color2> <thing>. ",
         "\"Happy birthday, <fN>!\" they {said|cried|shouted}. <fN> opened the {presents|gifts} and {smiled|laughed|jumped for joy}. \"This is the best <food> in the world!\" <fhe> said. "
         , "They ate and {danced|sang|played games} until {the sun went down|it was late|the stars came out}. <N> was <good>, because a present made with love is the best present. "]
PARTY_QA = [("Whose birthday was it?", "It was <fN>'s birthday."), ("What did <N> make?", "<N> made <food>."), ("What did <gN> bring?", "<gN> brought a <color2> <thing>."),
            ("Where did <N> go?", "<N> went to <p>."), ("Who showed <N> what to do?", "<His> <rel> showed <him>.")]

RACE = ["<fN><ft> was {very fast|a fast runner}. \"{Nobody is as fast as I am|I am the fastest of all},\" <fhe> {said|told everyone} every day. {$WHEN}<N> was tired of it. \"{Let us have a race|I will race you} to <p>,\" <he> said. {Everyone laughed. |}",
        "{On <day>, |The next morning, |}<gN> gave the sign, and the race began. {$SKY}<fN> ran {away|ahead} like the wind. <N> {was slow but did not stop|went slowly, step by step}. ",
        "Soon <fN> was far {ahead|in front}. \"{I have so much time|I can rest a little},\" <fhe> thought. <fHe> sat down <h1>, ate some <food>, and fell asleep. ",
        "<N> {kept going|walked on and on}. <He> {passed <fN> very quietly|saw <fN> sleeping but did not stop}. When <fN> woke up, it was too late. <N> was already at <p>. ",
        "<N> had won{| the race}, and the prize was a <color> <thing>. \"{I am sorry that I talked so much|You are better than I thought},\" said <fN>. \"{That is all right|Let us be friends},\" said <N>. "]
RACE_QA = [("Who won the race?", "<N> won the race."), ("Who fell asleep?", "<fN> fell asleep."), ("What was the prize?", "The prize was a <color> <thing>."),
           ("Where did the race end?", "The race ended at <p>."), ("Why did <fN> lose?", "<fN> lost because <fhe> fell asleep.")]

GARDEN = ["{$WHEN}<his> <rel> gave <N> a {tiny|small} seed. \"{Take good care of it|Be patient with it},\" <rhe> said. <N> {planted|put} it in the {ground|earth} near <p>. ",
          "Every <time>, <N> gave it {water|a little water}. {A week went by. |Many days went by. }But nothing happened. \"{Why does it not grow|Is it dead}?\" <he> asked. <N> felt <bad>. ",
          "\"{Good things take time|You must wait},\" said the <rel>. \"{The seed is sleeping|It needs the sun and the rain}.\" So <N> waited. {$SKY}",
          "{Then, one <day>|One <weather> morning}, <N> saw a little green leaf. It grew and grew. In {spring|summer}, there was a {big|tall|beautiful} plant with <n> <color> flowers. ",
          "<N> {picked|took} one flower and gave it to <fN>. \"{It is beautiful|How lovely}!\" said <fN>. <N> was glad that <he> had waited. "]
GARDEN_QA = [("Who gave <N> the seed?", "<His> <rel> gave <him> the seed."), ("What color were the flowers?", "The flowers were <color>."), ("How many flowers were there?", "There were <n> flowers."),
             ("Where did <N> plant the seed?", "<N> planted it near <p>."), ("Who got a flower?", "<fN> got a flower.")]

TREASURE = ["{$WHEN}<N> found an old map <h1>. It showed the way to <p>{| and a big X}. \"{It is a treasure map|There must be a treasure}!\" <he> said to <fN>. \"{Let us go|Come with me}!\" {$SKY}",
            "They {took|packed} some <food> and a <color2> <thing2> and {left|started} {at once|in the <time>}. First they went over {a bridge|a hill}. Then they went through {a dark forest|a wide field}. ",
            "{It was a long way, and <fN> was tired. \"{I want to go home|My feet hurt},\" <fhe> said. \"{Only a little more|We are almost there},\" said <N>. |A <gkind> named <gN> showed them the way. }",
            "At <p>, they {dug a hole|looked} <h2>. There was an old box! <N> opened it slowly. Inside was {not gold, but |}a <color> <thing>{| and a letter}. ",
            "{\"For the one who finds this,\" the letter said, \"be good to your friends.\" |\"It is better than gold,\" said <N>. }<N> and <fN> laughed. They were <good>, and they {went|walked} home together. "]
TREASURE_QA = [("What did <N> find?", "<N> found an old map."), ("Where was the map?", "The map was <h1>."), ("What was in the box?", "There was a <color> <thing> in the box."),
               ("Who went with <N>?", "<fN> went with <N>."), ("What did they take with them?", "They took some <food> and a <color2> <thing2>.")]

WARN = ["\"Do not go to <p> alone,\" said <N>'s <rel>. \"{It is too far|You could get lost}.\" \"{Yes, I know|I promise},\" said <N>. {But <N> was {very |}curious. |}",
        "{$WHEN}<N> went to <p> alone. {$SKY}At first it was {fun|wonderful}. <He> saw {<n> {ducks|birds|butterflies}|a <color> bird|many flowers}. But then it grew dark, and <N> did not know the way {home|back}. <He> sat down <h1> and felt <bad>. ",
        "{\"Help!\" <he> called. Nobody answered. |}{After a long time|At last}, a <fkind> named <fN> {came by|heard <him>}. \"{Are you lost|Have you lost your way}?\" asked <fN>. \"Yes,\" said <N>. \"I {want to go|would like to go} home.\" ",
        "\"{Follow me|Come with me}. I know the way,\" said <fN>. <fHe> had a <color2> lantern, and they walked {through the dark|side by side} until they saw the {lights|door} of the house. ",
        "The <rel> was waiting. \"{I was so worried|Where were you}!\" <rhe> {said|cried}. \"I am sorry,\" said <N>. \"{I will listen next time|I should have listened to you}.\" {Then they all ate <food> together. |Then the <rel> gave <him> a big hug. }"]
WARN_QA = [("Where did <N> go?", "<N> went to <p>."), ("Who showed <N> the way home?", "<fN> showed <N> the way home."), ("What color was the lantern?", "The lantern was <color2>."),
           ("Who was waiting at home?", "The <rel> was waiting at home."), ("Where did <N> sit down?", "<N> sat down <h1>.")]

WISH = ["{$WHEN}<N> was walking near <p>. {$SKY}<He> saw a {tiny|small} <spirit> <h1>. \"{I cannot get home|I am lost},\" said the <spirit>. <N> {carried|brought} the <spirit> {to the top of the hill|to the tallest tree|home} {very |}carefully. ",
        "\"{You are kind|Thank you}, <N>,\" said the <spirit>. \"{I will give you one wish|You may have one wish}. {Think well.|What do you want?}\" ",
        "<N> thought about a {new |}<color> <thing>. <He> thought about {a mountain of |}<food>. Then <he> thought about <fN><ft>, who was {sick|ill and could not walk|alone and sad}. ",
        "\"I wish that <fN> {is well again|will be happy},\" said <N>. The <spirit> {smiled|nodded}. There was a flash of <color2> light, {and the <spirit> was gone|and everything was quiet}. ",
        "{The next morning|A moment later}, <fN> came {running|dancing} down the road. \"{I feel wonderful|I am so happy}!\" <fhe> {said|cried}. <N> {smiled|was <good>} and {said nothing|told nobody about the wish}. "]
WISH_QA = [("Where did <N> see the <spirit>?", "<N> saw the <spirit> <h1>."), ("Who was the wish for?", "The wish was for <fN>."), ("What color was the light?", "The light was <color2>."),
           ("How many wishes did <N> have?", "<N> had one wish.")]

BROKEN = ["{$WHEN}<N> was playing with <fN>'s <color> <thing>. {$SKY}<He> was not careful, and the <thing> {fell|fell down} and broke. <N> was <bad>. {\"What shall I do?\" <he> thought. |}",
          "<He> {hid|put} the <thing> <h1>. When <fN><ft> came, <fhe> asked, \"Where is my <thing>?\" \"{I do not know|I have not seen it},\" said <N>, but <his> face turned red. ",
          "That <time>, <N> could not {eat <his> <food>|sleep|play}. <His> <rel> asked, \"What is wrong?\" <N> told <rhim> {everything|the truth}. \"{You must tell <fN>|It is best to tell the truth},\" said the <rel>. ",
          "{So|The next day,} <N> went to <fN>. \"I broke your <thing>, and I hid it <h1>. I am {very |so }sorry,\" <he> said. {<fN> was quiet for a moment. |}\"{Thank you for telling me|I am glad that you told me the truth},\" said <fN>. ",
          "Together they {repaired|fixed} the <thing> with {glue|string|a needle and thread|some wood}. It was {almost like new|even better than before}, and {<N> felt <good>|the two of them were friends again}. "]
BROKEN_QA = [("What did <N> break?", "<N> broke <fN>'s <color> <thing>."), ("Where did <N> hide the <thing>?", "<N> hid it <h1>."), ("Who told <N> to tell the truth?", "<His> <rel> told <him> to tell the truth."),
             ("Whose <thing> was it?", "It was <fN>'s <thing>."), ("What color was the <thing>?", "The <thing> was <color>.")]

NEWKID = ["{$WHEN}a new family came to {the village|town}. They had a {child|little one}, a <fkind> named <fN>. <fN> was {shy|quiet} and sat alone <h1>. ",
          "{Nobody talked to <fhim>. |The others played near <p> and did not see <fhim>. }<N> {saw this|watched <fhim>} and felt <bad>. \"{I would not like to be alone|It is hard to be new},\" <he> thought. ",
          "So <N> {went over|walked over} and said, \"Hello, I am <N>. {What is your name|Who are you}?\" \"I am <fN>,\" said the <fkind> {quietly|softly}. \"Do you want to play with my <color> <thing>?\" asked <N>. {<fN> smiled for the first time. |}\"Yes, please,\" said <fN>. ",
          "They played {together |}all <time>. {$SKY}<N> {showed|told} <fN> {the best places near <p>|a secret path to <p>|how to climb a tree}, and <fN> {taught|showed} <N> a {new game|funny song|little dance}. ",
          "{When it was time to go home|In the evening}, <fN> said, \"{Now I have a friend|I like it here}.\" <N> {was <good>|felt <good>}. \"See you tomorrow!\" <he> {called|said}. "]
NEWKID_QA = [("Who was new?", "<fN> was new."), ("Where did <fN> sit?", "<fN> sat <h1>."), ("What did they play with?", "They played with a <color> <thing>."), ("Who talked to <fN>?", "<N> talked to <fN>.")]

MARKET = ["{$WHEN}<N>'s <rel> said, \"Please go to {the market|the shop} and buy <n> <fruit>.\" <rHe> gave <him> a <color> basket and some {coins|money}. {$SKY}",
          "On the way, <N> met <fN><ft>. \"Where are you going?\" asked <fN>. \"I am going to buy <n> <fruit>,\" said <N>. \"{May I come with you|Can I come too}?\" \"{Of course|Yes}!\" said <N>. ",
          "At {the market|the shop}, there were {so many things|many people|sweet smells}. <N> bought <n> <fruit> and put them in the basket. {Then they saw <gN>, who {was hungry|had nothing to eat}. <N> gave <ghim> one of the <fruit>, so <n1> were left. |Then they went home slowly. But there was a hole in the basket, and one of the <fruit> fell out, so <n1> were left. }",
          "At home, the <rel> counted. \"{I see only|There are only} <n1> <fruit>,\" <rhe> said. <N> told <rhim> what had happened. {\"{That is all right|You did well},\" said the <rel> and smiled. |The <rel> laughed. \"{That is enough|It does not matter},\" <rhe> said. }",
          "{Then they made <food> together. |}{<fN> stayed for dinner. |}<N> was <good>. "]
MARKET_QA = [("What did <N> buy?", "<N> bought <n> <fruit>."), ("What color was the basket?", "The basket was <color>."), ("How many <fruit> were left?", "There were <n1> <fruit> left."), ("Who did <N> meet on the way?", "<N> met <fN><ft>.")]

# Each plot: sentences, questions, happens outdoors, <fN> is already a friend, fitting bad feelings.
PLOTS = [(LOST, LOST_QA, False, True, "sad worried upset unhappy"), (RESCUE, RESCUE_QA, True, True, "sad worried"),
         (SHARE, SHARE_QA, True, True, "angry"), (STORM, STORM_QA, False, True, "scared"),
         (BUILD, BUILD_QA, True, True, "sad angry upset unhappy"), (PARTY, PARTY_QA, True, True, "sad"),
         (RACE, RACE_QA, True, False, "angry"), (GARDEN, GARDEN_QA, True, True, "sad worried unhappy"),
         (TREASURE, TREASURE_QA, True, True, "sad"), (WARN, WARN_QA, True, False, "scared lonely worried"),
         (WISH, WISH_QA, True, True, "sad"), (BROKEN, BROKEN_QA, False, True, "worried scared nervous upset"),
         (NEWKID, NEWKID_QA, True, False, "sad sorry"), (MARKET, MARKET_QA, True, True, "sad")]
GENERAL_QA = [("Who is the story about?", "The story is about <N>."), ("What kind of animal or person is <N>?", "<N> is a <kind>."), ("Who is <fN>?", "<fN> is a <fkind>.")]
MAKES = ["tree house", "little boat", "bird house", "bench", "small bridge", "wagon", "sled", "bookshelf", "swing", "garden gate"]


def _plan(rng, s, outdoors, feelings):
    """Extra variables that depend on the plot."""
    places = rng.sample(w.OUTDOORS if outdoors else w.OUTDOORS + w.INDOORS * 2, 12)
    places = list(dict.fromkeys(places))[:3]
    s["h1"], s["h2"], s["h3"] = (expand(rng, h, s).lower() for h in places)
    s["bad"] = rng.choice(feelings.split())
    for prefix in ("", "f", "g"):
        kind = s[prefix + "kind"]
        s[prefix + "t"] = "" if kind in ("girl", "boy") else " the " + kind
    n = rng.randint(3, 10)
    s["n"], s["n1"] = w.NUMBERS[n], w.NUMBERS[n - 1]
    s["fruit"] = rng.choice(("apples", "pears", "plums", "oranges", "carrots", "eggs", "potatoes", "lemons"))
    s["make"] = rng.choice(MAKES)
    s["fell"] = rng.choice(("fell down", "broke in two", "was too weak"))
    s["spirit"] = rng.choice(("star", "fairy", "wizard", "dragon", "magic bird"))


def story(rng):
    """Return (text, state, list of (question, answer)) for one story."""
    s = make_state(rng)
    plot, qa, outdoors, friends, feelings = rng.choice(PLOTS)
    _plan(rng, s, outdoors, feelings)
    body = "".join(plot).replace("{$MAKE}", "<make>")
    while "{$WHEN}" in body:
        body = body.replace("{$WHEN}", rng.choice(WHEN), 1)
    while "{$SKY}" in body:
        body = body.replace("{$SKY}", rng.choice(SKY), 1)
    template = _opening(rng, friends)
    if rng.random() < 0.3:
        template += "\n\n" + body + "\n\n"
    else:
        template += body
    if rng.random() < 0.75:
        template += rng.choice(MORAL)
    text = expand(rng, template, s).strip()
    facts = [(expand(rng, q, s), expand(rng, a, s))
             for q, a in qa + rng.sample(GENERAL_QA, 1)]
    return text, s, facts
