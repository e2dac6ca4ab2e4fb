"""Question-and-answer blocks and plain statements about simple facts of the world."""
from grammar import expand
import words as w

COLOR_OF = {"the sky": "blue", "grass": "green", "snow": "white", "the sun": "yellow", "a banana": "yellow", "a lemon": "yellow",
            "blood": "red", "a strawberry": "red", "a tomato": "red", "coal": "black", "milk": "white", "chocolate": "brown",
            "a carrot": "orange", "an orange": "orange", "a leaf in summer": "green", "the sea": "blue", "a polar bear": "white",
            "a frog": "green", "a cherry": "red", "the night": "black", "a flamingo": "pink", "an elephant": "gray",
            "gold": "yellow", "a plum": "purple", "a cucumber": "green", "a crow": "black", "salt": "white", "a fire truck": "red"}
OPPOSITE = dict(p.split("/") for p in """hot/cold big/small tall/short day/night up/down left/right open/closed fast/slow happy/sad
light/dark old/young hard/soft wet/dry full/empty early/late near/far good/bad loud/quiet strong/weak clean/dirty rich/poor
high/low begin/end love/hate first/last black/white true/false inside/outside thick/thin heavy/light sweet/sour
long/short wide/narrow easy/difficult friend/enemy""".split())
SOUND = dict(p.split("/") for p in """dog/barks cat/meows cow/moos sheep/bleats duck/quacks lion/roars horse/neighs bee/buzzes
owl/hoots frog/croaks wolf/howls pig/oinks snake/hisses bird/sings mouse/squeaks""".split())
BABY = dict(p.split("/") for p in """dog/puppy cat/kitten cow/calf sheep/lamb horse/foal duck/duckling hen/chick bear/cub
goat/kid pig/piglet lion/cub frog/tadpole deer/fawn goose/gosling""".split())
LEGS = {"dog": "four", "cat": "four", "bird": "two", "spider": "eight", "bee": "six", "snake": "no", "horse": "four",
        "ant": "six", "person": "two", "cow": "four", "hen": "two", "fish": "no", "fox": "four", "duck": "two"}
LIVES = {"fish": "in the water", "bird": "in a nest", "bee": "in a hive", "dog": "in a house with people", "camel": "in the desert",
         "penguin": "in the cold south", "monkey": "in the trees", "rabbit": "in a burrow", "whale": "in the sea", "spider": "in a web",
         "bear": "in the forest", "cow": "on a farm", "frog": "near a pond", "lion": "in the grasslands", "fox": "in a den"}
EATS = {"rabbit": "grass and carrots", "cow": "grass", "cat": "fish and meat", "squirrel": "nuts and seeds", "monkey": "fruit",
        "bear": "berries, honey and fish", "horse": "grass and oats", "lion": "meat", "bird": "seeds and worms", "mouse": "seeds and cheese",
        "panda": "bamboo", "frog": "flies", "hen": "corn and seeds", "sheep": "grass", "elephant": "leaves and grass"}
KIND = {"rose": "flower", "tulip": "flower", "oak": "tree", "pine": "tree", "apple": "fruit", "pear": "fruit", "carrot": "vegetable",
        "potato": "vegetable", "dog": "animal", "horse": "animal", "sparrow": "bird", "eagle": "bird", "salmon": "fish", "shark": "fish",
        "hammer": "tool", "saw": "tool", "piano": "musical instrument", "violin": "musical instrument", "chair": "piece of furniture",
        "table": "piece of furniture", "ant": "insect", "bee": "insect", "car": "vehicle", "bus": "vehicle", "red": "color", "Monday": "day"}
USE = {"a knife": "cut food", "a pen": "write", "a key": "open a door", "an umbrella": "stay dry in the rain", "a clock": "tell the time",
       "a spoon": "eat soup", "a broom": "sweep the floor", "a lamp": "make light", "a telephone": "talk to people far away",
       "scissors": "cut paper", "a bed": "sleep", "a map": "find the way", "soap": "wash our hands", "a ladder": "climb up high",
       "a bridge": "cross a river", "a computer": "write, count and read", "a book": "read and learn", "a boat": "travel on water",
       "glasses": "see better", "a needle": "sew clothes", "a hammer": "drive nails", "a stove": "cook food"}
CAPITAL = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Germany": "Berlin", "England": "London", "Japan": "Tokyo",
           "Egypt": "Cairo", "Greece": "Athens", "Norway": "Oslo", "Austria": "Vienna", "Poland": "Warsaw", "Portugal": "Lisbon",
           "China": "Beijing", "Russia": "Moscow", "Ireland": "Dublin", "Peru": "Lima", "Kenya": "Nairobi", "Canada": "Ottawa"}
WHO = {"heals sick people": "a doctor", "bakes bread": "a baker", "teaches children": "a teacher", "grows food": "a farmer", "flies a plane": "a pilot",
       "puts out fires": "a firefighter", "catches fish": "a fisherman", "cuts hair": "a barber", "builds houses": "a builder", "brings letters": "a mail carrier",
       "paints pictures": "an artist", "writes books": "a writer", "plays music": "a musician", "cares for teeth": "a dentist", "writes programs": "a programmer"}
MISC = [("How many days are in a week", "There are seven days in a week"), ("How many months are in a year", "There are twelve months in a year"),
        ("How many hours are in a day", "There are twenty-four hours in a day"), ("How many minutes are in an hour", "There are sixty minutes in an hour"),
        ("How many seconds are in a minute", "There are sixty seconds in a minute"), ("How many seasons are in a year", "There are four seasons in a year"),
        ("What are the four seasons", "The four seasons are spring, summer, autumn and winter"), ("Where does the sun rise", "The sun rises in the east"),
        ("Where does the sun set", "The sun sets in the west"), ("What do we breathe", "We breathe air"), ("What do bees make", "Bees make honey"),
        ("What falls from the clouds", "Rain falls from the clouds"), ("What is ice", "Ice is frozen water"), ("What is steam", "Steam is water that is very hot"),
        ("What shines at night", "The moon and the stars shine at night"), ("What shines during the day", "The sun shines during the day"),
        ("What do cows give us", "Cows give us milk"), ("What do hens lay", "Hens lay eggs"), ("What do plants need", "Plants need water, air and light"),
        ("How many fingers are on one hand", "There are five fingers on one hand"), ("What do we see with", "We see with our eyes"),
        ("What do we hear with", "We hear with our ears"), ("What do we smell with", "We smell with our nose"), ("What is bread made of", "Bread is made of flour and water"),
        ("What is paper made of", "Paper is made of wood"), ("How many letters are in the English alphabet", "There are twenty-six letters in the English alphabet"),
        ("How many sides does a triangle have", "A triangle has three sides"), ("How many sides does a square have", "A square has four sides"),
        ("What is the largest animal", "The largest animal is the blue whale"), ("What is the tallest animal", "The tallest animal is the giraffe"),
        ("Is the sun hot", "Yes, the sun is very hot"), ("Is ice warm", "No, ice is cold"), ("Can a fish swim", "Yes, a fish can swim"),
        ("Can a stone swim", "No, a stone cannot swim"), ("Can a bird fly", "Yes, most birds can fly"), ("Can a pig fly", "No, a pig cannot fly"),
        ("What is a computer", "A computer is a machine that follows instructions"), ("What is memory in a computer", "Memory is the place where a computer keeps its data"),
        ("What is a server", "A server is a computer that answers requests from other computers"), ("What is a file", "A file is a named piece of data on a disk"),
        ("What is a page of memory", "A page is a small block of memory"), ("What is a cache", "A cache keeps data close so that it can be used again quickly"),
        ("What is a language model", "A language model is a program that guesses the next word"), ("What is a program", "A program is a list of instructions for a computer"),
        ("Who are you", "I am a small language model"), ("What can you do", "I can tell short stories and answer simple questions"),
        ("What is your name", "I am a small language model without a name"), ("Do you like stories", "Yes, I like short stories")]
ORDINAL = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()


def _cap(x):
    return x[0].upper() + x[1:]


def _arith(rng):
    a, b = rng.randint(0, 12), rng.randint(0, 10)
    minus = rng.random() < 0.35
    if minus and a < b:
        a, b = b, a
    c = a - b if minus else a + b
    style = rng.random()
    if style < 0.5:
        return f"What is {a} {'-' if minus else '+'} {b}?", f"{a} {'-' if minus else '+'} {b} = {c}."
    names = w.NUMBERS + ["twenty-one", "twenty-two"]
    op = "minus" if minus else "plus"
    return f"What is {names[a]} {op} {names[b]}?", f"{_cap(names[a])} {op} {names[b]} is {names[c]}."


def _sequence(rng):
    kind = rng.randrange(5)
    if kind < 2:
        items, label = (w.DAYS, "day") if kind else (w.MONTHS, "month")
        i = rng.randrange(len(items))
        nxt, prev = items[(i + 1) % len(items)], items[i - 1]
        if rng.random() < 0.5:
            return f"What {label} comes after {items[i]}?", f"{nxt} comes after {items[i]}."
        return f"What {label} comes before {items[i]}?", f"{prev} comes before {items[i]}."
    if kind == 2:
        i = rng.randrange(12)
        return f"What is the {ORDINAL[i]} month of the year?", f"The {ORDINAL[i]} month of the year is {w.MONTHS[i]}."
    i = rng.randint(1, 18)
    if kind == 3:
        return f"What number comes after {w.NUMBERS[i]}?", f"{_cap(w.NUMBERS[i + 1])} comes after {w.NUMBERS[i]}."
    n = rng.randint(3, 12)
    return f"Can you count to {w.NUMBERS[n]}?", "Yes. " + _cap(", ".join(w.NUMBERS[1:n + 1])) + "."


def _pick(rng, table):
    return rng.choice(list(table.items()))


def fact(rng):
    """Return one (question, answer) pair."""
    k = rng.randrange(19)
    if k < 2:
        return _arith(rng)
    if k < 5:
        return _sequence(rng)
    if k < 7:
        a, b = _pick(rng, COLOR_OF)
        return f"What {rng.choice(('color', 'color', 'colour'))} is {a}?", f"{_cap(a)} is {b}."
    if k == 7:
        a, b = _pick(rng, OPPOSITE)
        if rng.random() < 0.5 and b not in ("short", "light", "white", "bad"):
            a, b = b, a
        return expand(rng, f"What is the opposite of {a}?"), f"The opposite of {a} is {b}."
    if k == 8:
        a, b = _pick(rng, SOUND)
        return f"What sound does a {a} make?".replace("a owl", "an owl"), expand(rng, f"a {a} {b}.")
    if k == 9:
        a, b = _pick(rng, BABY)
        return f"What is a baby {a} called?", expand(rng, f"a baby {a} is called a {b}.")
    if k == 10:
        a, b = _pick(rng, LEGS)
        return expand(rng, f"how many legs does a {a} have?"), expand(rng, f"a {a} has {b} legs.")
    if k == 11:
        a, b = _pick(rng, LIVES)
        return f"Where does a {a} live?", f"A {a} lives {b}."
    if k == 12:
        a, b = _pick(rng, EATS)
        return expand(rng, f"what does a {a} eat?"), expand(rng, f"a {a} eats {b}.")
    if k == 13:
        a, b = _pick(rng, KIND)
        if a in ("red", "Monday"):
            return f"What is {a}?", f"{_cap(a)} is a {b}."
        if rng.random() < 0.4:
            wrong = rng.choice([v for v in KIND.values() if v not in (b, "animal")])
            return expand(rng, f"is a {a} a {wrong}?"), expand(rng, f"no, a {a} is a {b}.")
        return expand(rng, f"what is a {a}?"), expand(rng, f"a {a} is a {b}.")
    if k == 14:
        a, b = _pick(rng, USE)
        return f"What do we use {a} for?", f"We use {a} to {b}."
    if k == 15:
        a, b = _pick(rng, CAPITAL)
        return f"What is the capital of {a}?", f"The capital of {a} is {b}."
    if k == 16:
        a, b = _pick(rng, WHO)
        return f"Who {a}?", f"{_cap(b)} {a}."
    q, a = rng.choice(MISC)
    return q + "?", a + "."


def qa_block(pairs):
    """Format pairs in the one fixed prompt format of this model."""
    return "\n\n".join(f"Question: {q}\nAnswer: {a}" for q, a in pairs)


def fact_questions(rng):
    return qa_block(fact(rng) for _ in range(rng.randint(1, 7)))


def fact_statements(rng):
    """A short list of facts, told as plain sentences."""
    head = rng.choice(("Here are some things that are true. ", "Did you know? ", "Today we learned many things. ", "", ""))
    return head + " ".join(fact(rng)[1] for _ in range(rng.randint(3, 8)))
