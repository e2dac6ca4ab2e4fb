"""Descriptions, letters, dialogues, instructions and simple texts about computers."""
from facts import fact
from grammar import expand
from stories import make_state
import words as w

WEATHER_TODAY = {
    "sunny": ["The sky is blue and there are no clouds", "The sun is warm, and people sit {in the park|outside}", "It is {hot|warm} in the sun and cool in the shade"],
    "rainy": ["The streets are wet", "People carry umbrellas", "The rain {falls on the roofs|runs down the windows}", "You should take an umbrella"],
    "windy": ["The leaves fly through the air", "It is a good day to fly a kite", "Hold on to your hat", "The trees bend in the wind"],
    "snowy": ["The roofs are white", "Children build a snowman", "The snow is deep and soft", "You need warm boots and gloves"],
    "foggy": ["You cannot see the end of the street", "Cars drive slowly", "The hills look like gray shadows", "It will be clear in the afternoon"],
    "cloudy": ["The sun hides behind the clouds", "It may rain in the evening", "It is neither warm nor cold", "The light is soft and gray"],
}
PLAN = ["<N> wants to {walk to <p>|visit <fN>|stay at home and read|make <food>|play outside}", "It is a good day to {drink tea|work in the garden|visit a friend|read a book|go for a walk}",
        "Tomorrow {it will be <next>|the weather will be better|it may change}", "{Last night|Yesterday} it was <before>"]


def weather_report(rng, s):
    kind = s["weather"]
    s["next"], s["before"] = rng.choice(list(w.WEATHER)), rng.choice(list(w.WEATHER))
    first = rng.choice(("The weather today is <weather>. ", "The weather today is <weather>. ", "Today it is <weather> {in <city>|near <p>|everywhere}. ", "It is a <weather> <time> in <month>. ",
                        "The weather in <city> is <weather> today. "))
    lines = rng.sample(WEATHER_TODAY[kind], rng.randint(2, 3)) + rng.sample(PLAN, rng.randint(1, 2))
    return first + ". ".join(lines) + "."


PLACE_LINES = ["There is a {small|large|wide} {path|road} with {old|tall|green} trees on both sides", "In {spring|summer}, <color> flowers grow {everywhere|there|near the water}",
               "In {winter|autumn}, it is quiet and {cold|empty}", "{Birds|Ducks|Butterflies} {come|live} there, and sometimes you can see a {fox|deer|hare}",
               "{Children|Families|Old people} come here {every <day>|to play|to rest}", "The air smells of {flowers|rain|bread|the sea|grass}",
               "At night, you can see {many stars|the moon over the water|the lights of the town}", "You can hear {the wind|the bells|the water} {all day|from far away}"]
DAY_LINES = ["In the morning, <N> {gets up at <hour>|washes <his> face|drinks a cup of {milk|tea}} and {eats {bread|porridge|an egg}|feeds the {cat|dog|hens}}",
             "Then <he> goes to <p> {by bus|on foot|by bicycle} with <fN>", "At noon, <he> eats {soup|rice|bread and cheese} and talks with <his> {friends|<rel>}",
             "In the afternoon, <he> {plays {chess|football|the piano}|reads a book|helps <his> <rel>|works in the garden}", "In the evening, <he> {writes a letter|looks at the stars|listens to music|cooks <food>}",
             "At <hour>, <he> goes to bed and {sleeps well|dreams of <p>|thinks about the day}"]


def description(rng, s):
    k = rng.randrange(4)
    if k == 0:
        place = s["p"]
        first = rng.choice((f"{place} is a {{quiet|beautiful|busy|lovely|strange}} place. ", f"I like to go to {place}. ", f"Not far from the town is {place}. "))
        return first + ". ".join(rng.sample(PLACE_LINES, rng.randint(3, 5))) + "."
    if k == 1:
        keep = sorted(rng.sample(range(6), rng.randint(4, 6)))
        return rng.choice(("This is a day in the life of <N>. ", "Every <day>, <N> does the same things. ", "<N> is a <t1> <kind2> who lives in <home>. ")) + ". ".join(DAY_LINES[i] for i in keep) + "."
    if k == 2:
        season, what = rng.choice(list(w.SEASONS.items()))
        return (f"{season} is a {{beautiful|special|wonderful}} season. In {season}, {what}. <N> likes {season} {{best|very much}} because <he> can {{play|walk|rest|work}} {{outside|near <p>|with <fN>}}. "
                "{<His> <rel> likes another season more. |}" + f"{{After {season} comes a new season, and everything changes again.|Every {season} is a little different.}}")
    return ("{My|Our} {house|room|garden|school} is {small|large|old|new} but {lovely|bright|warm|comfortable}. The walls are <color>, and the door is <color2>. There {is a <thing> on the table and a <thing2> near the window|are <n> chairs and a big table}. "
            "{When it is <weather>, we sit together and talk.|My <rel> likes to sit by the window.|In the <time>, the light is beautiful.} {I like it very much.|I would not want to live anywhere else.|You should visit us one day.}")


def letter(rng, s):
    return ("Dear <fN>,\n\n{How are you? I am {well|fine}.|Thank you for your {letter|kind words|<color> <thing>}.|I hope that you are well.} "
            "{{Yesterday|Last <day>|This <time>}, I went to <p> with my <rel>. <sky>. {We saw a <pet> <h>.|We ate <food> and talked a lot.|I found a <color2> <thing2>.}|"
            "I have {good|great} news. {My <rel> gave me a <color2> <thing2>.|We have a new <pet>, and its name is <gN>.|I can play the {flute|piano|drum} now.}|"
            "I am a little <bad> because {I lost my <color2> <thing2>|my friend <gN> moved away|it is always <weather> here}.} "
            "{Do you remember {our day at <p2>|the <time> when we made <food>|how we laughed at <p2>}?|What do you do when it is <weather>?|When will you visit me?|Is your <rel> well?} "
            "{Please write {soon|back soon}.|I miss you.|Come and see us in <month>.|I will tell you more in my next letter.}\n\n{Your friend,|With love,|Best wishes,|Yours,}\n<N>")


TALK = [("\"{Good <time>|Hello}, <fN>. {How are you|How do you feel} today?\"", "\"I am {fine|well|<good>}, thank you. And you?\"", "\"I am {a little tired|very <good>|well, too}.\""),
        ("\"{Where are you going|Where do you want to go}?\"", "\"I am going to <p>. {Would you like to come with me|Do you want to come}?\"", "\"{Yes, I would love to|Yes, please|No, thank you. I have to help my <rel>}.\""),
        ("\"What do you have in your {bag|basket|hand}?\"", "\"{It is|I have} a <color> <thing>. {My <rel> gave it to me|I found it <h>|I bought it on <day>}.\"", "\"{It is beautiful|I like it|May I see it}.\""),
        ("\"What is your favorite color?\"", "\"My favorite color is <color>. {It makes me <good>|My <thing> is <color>, too}.\"", "\"Mine is <color2>.\""),
        ("\"Do you like <food>?\"", "\"{Yes, I love it|Yes, very much|No, I do not like it}. {My <rel> makes it every <day>|I ate it yesterday}.\"", "\"{Let us make some together|I like soup more}.\""),
        ("\"What will we do {tomorrow|on <day>}?\"", "\"If it is <weather>, {we can go to <p>|we can stay at home and read|we will play with the <thing>}.\"", "\"{That is a good idea|I am looking forward to it|And I will bring <food>}.\""),
        ("\"Have you seen my <color> <thing>?\"", "\"{Yes, it is <h>|I saw it <h>}.\"", "\"{Thank you|Oh, thank you very much|You are a good friend}.\"")]


def dialogue(rng, s):
    turns = []
    for trio in rng.sample(TALK, rng.randint(1, 3)):
        turns += [trio[0], trio[1], trio[2]]
    if rng.random() < 0.5:
        body = "\n".join((s["N"] if i % 3 != 1 else s["fN"]) + ": " + t[1:-1].replace("<fN>", s["fN"]) for i, t in enumerate(turns))
        return body
    said = [t + (" {asked|said} " if "?" in t and i % 3 == 0 else " {said|answered} ") + ("<N>" if i % 3 != 1 else "<fN>") + "." for i, t in enumerate(turns)]
    said = [x.replace('.\" {', ',\" {').replace('.}\" {', '},\" {') for x in said]
    return "<N> met <fN> {at <p>|near <p>|on the way to <p>}. " + " ".join(said) + " {Then they went home.|They talked for a long time.|They both laughed.|}"


HOWTO = [("make tea", ["Boil some water", "Put {a tea bag|some tea leaves} in a cup", "Pour the hot water into the cup", "Wait for <n> minutes", "{Add some honey or milk if you like|Drink it while it is warm}"]),
         ("plant a seed", ["Fill a pot with earth", "Make a small hole with your finger", "Put the seed into the hole and cover it", "Give it a little water {every day|every <day>}", "Put the pot in a {sunny|warm} place and wait"]),
         ("wash your hands", ["Turn on the water", "Make your hands wet", "Use some soap and rub your hands for twenty seconds", "{Rinse|Wash} them with clean water", "Dry them with a <color> towel"]),
         ("bake bread", ["Mix flour, water, salt and yeast", "{Work|Knead} the dough for ten minutes", "Let it rest in a warm place for an hour", "Bake it in a hot oven until it is {brown|golden}", "Let it cool before you cut it"]),
         ("build a kite", ["Take two sticks and tie them together like a cross", "Cut a piece of <color> paper", "Glue the paper to the sticks", "Add a long tail {of <color2> ribbons|of cloth}", "Tie a string to it and wait for the wind"]),
         ("make a friend", ["{Smile|Be kind} and say hello", "Ask for the name of the other person", "Listen {carefully|well}", "Share something, for example {<food>|a <thing>}", "Meet again {on <day>|another day}"]),
         ("cross a street", ["Stop at the side of the street", "Look left, then right, then left again", "Listen for cars", "Walk when the street is {free|clear}", "Do not run"]),
         ("paint a picture", ["{Find|Take} a clean sheet of paper", "Think about what you want to paint, for example <p>", "Begin with {light|bright} colors such as <color>", "Add <color2> for the small parts", "Let it dry"]),
         ("run a language model", ["{Find|Choose} a file with the weights", "{Start|Open} the program and tell it where the file is", "Wait until the weights are in memory", "Write a prompt", "Read the answer, one word after another"]),
         ("save a file", ["Choose a {short|good} name for the file", "Choose a folder", "Write the data to the disk", "{Read|Check} the file again to see that it is right", "Make a copy in another place"])]


def howto(rng, s):
    goal, steps = rng.choice(HOWTO)
    style = rng.randrange(3)
    if style == 0:
        return f"How to {goal}:\n\n" + "\n".join(f"{i}. {x}." for i, x in enumerate(steps, 1))
    if style == 1:
        words_ = ["First, ", "Then ", "After that, ", "Next, ", "At the end, "]
        return f"<N> wanted to {goal}. \"How do I do it?\" <he> asked. <His> <rel> {{explained|said}}: \"" + " ".join(a + x[0].lower() + x[1:] + "." if x[0] != "{" else a.rstrip(", ") + ": " + x + "." for a, x in zip(words_, steps)) + "\""
    return f"Question: How do I {goal}?\nAnswer: " + " ".join(x + "." for x in steps)


COMPUTER = ["The server loads the weights {from the disk|from a file|into memory}{| when it starts}", "The weights are {stored|kept} in a {large|single} file", "A page is a small {block|piece} of memory, {often four kilobytes|and many pages make a big memory}",
            "When a page is not in memory, the {system|computer} reads it from the disk", "Reading from memory is {much |}faster than reading from the disk", "The {program|server} answers one {question|request} after another",
            "The user {writes|sends} a prompt, and the model {continues the text|answers with a few words}", "A {cache|fast memory} keeps the data that {is used often|was used last}",
            "If there is not enough memory, the program {must wait|becomes slow|uses smaller numbers}", "The processor {adds and multiplies|works with} {many numbers|millions of numbers} every second",
            "Two {threads|programs} can work at the same time, but they must share the memory", "Every {token|word} needs all the weights once", "Smaller numbers need less {memory|space}, but they are less exact",
            "The {graphics card|processor} has its own memory, which is {fast but small|very fast}", "A good program checks its files before it {uses|reads} them", "When something goes wrong, the program writes a {clear message|line to the log}",
            "The {test|programmer} {found|finds} an error in the code, and <N> {fixed|repaired} it", "The model reads the {text|prompt} from left to right", "Numbers in a computer are made of bits, and a bit is zero or one", "Eight bits are one byte"]
COMPUTER_OPEN = ["{A computer is a machine that follows instructions|A computer has a processor, memory and a disk}", "<N> works with computers {every day|in <city>}", "The server loads the weights {from the disk|into memory}", "The memory of a computer {is like a large shelf|is made of many small pages}",
                 "The model {is small|has only a few million weights}", "The program starts {slowly|quickly} {in the morning|every day}", "{Let us talk about|This text is about} computers"]


def computers(rng, s):
    if rng.random() < 0.3:
        return ("{The server|The old computer|The program} was {slow|very slow} {again|that <day>}. \"{Why is it so slow|What is wrong}?\" asked <N>. \"{There is not enough memory|The disk is full|It reads the same file again and again|Too many programs run at once},\" {said|answered} <fN>. "
                "<N> {thought for a moment|looked at the screen|read the log}. \"{Let us load only the pages that we need|We can use smaller weights|We can keep the data in a cache|Let us stop the other programs},\" <he> said. {They tried it, and|After <n> minutes,} the server {answered quickly|was fast again|worked well}. {<fN> was <good>.|\"Well done!\" said <fN>.|}")
    first = rng.choice(COMPUTER_OPEN)
    return first + ". " + ". ".join(rng.sample(COMPUTER, rng.randint(3, 6))) + "."


def prose(rng):
    """One document of a random kind."""
    s = make_state(rng)
    s["city"] = rng.choice(("the city", "the town", "the village", "Paris", "London", "Rome", "Oslo", "Vienna", "Dublin"))
    s["month"], s["hour"] = rng.choice(w.MONTHS), rng.choice(w.NUMBERS[6:10]) + " o'clock"
    s["h"] = expand(rng, rng.choice(w.OUTDOORS)).lower()
    s["bad"] = rng.choice(("sad", "worried", "lonely"))
    s["kind2"] = s["kind"]
    make = rng.choice((weather_report, weather_report, description, description, letter, dialogue, howto, computers, computers))
    return expand(rng, make(rng, s), s)


def lesson(rng, fact_count=3):
    """A short scene in which someone asks about facts."""
    s = make_state(rng)
    lines = "".join(f"\"{q}\" asked {{<N>|<N>|the child}}. \"{a[:-1]},\" said the <rel>. " for q, a in (fact(rng) for _ in range(rng.randint(1, fact_count))))
    return expand(rng, "{One <time>, |One <day>, |}<N> {sat|was} with <his> <rel> {near <p>|in the kitchen|in the garden|at the window}. " + lines + "{\"Thank you,\" said <N>.|<N> was <good>.|\"Now I know,\" said <N>.|}", s)
