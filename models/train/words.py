"""Word lists shared by all document generators."""

GIRLS = """Anna Lily Mia Rosa Clara Emma Nora Sophie Ella Maya Zoe Ruby Ivy Hanna Lucy Tara Jane
Olga Eva Nina Alice Molly Grace Lena Sara Amy Daisy Kate Wendy Vera Iris Julia Marta Freya""".split()
BOYS = """Tom Ben Max Leo Sam Jack Oscar Finn Noah Hugo Peter Luke Adam Theo Paul Eric Omar Felix
Ivan Ned Toby Will Henry Marco Simon Karl Daniel Ravi Arthur Jonas Victor George Martin Kai""".split()
PETS = """Pip Bruno Fluffy Coco Milo Pepper Biscuit Whiskers Button Honey Rusty Patch Snowy Muffin
Ginger Shadow Nibbles Hazel Poppy Bramble Dot Twig""".split()
ANIMALS = """rabbit fox bear mouse squirrel hedgehog cat dog frog owl duck turtle deer badger
otter goat pony lamb penguin sparrow kitten puppy beaver monkey elephant pig""".split()
SMALL_ANIMALS = "kitten puppy bird duckling mouse hedgehog rabbit lamb squirrel turtle".split()
COLORS = "red blue green yellow orange purple white black brown pink golden silver gray".split()
TOYS = """ball kite toy boat doll scarf hat book drum lantern basket key whistle bell ribbon cup
necklace coat umbrella blanket notebook puzzle spoon ring backpack flute feather button""".split()
FOODS = ["apple pie", "soup", "bread", "honey cake", "pancakes", "cookies", "strawberry jam",
         "noodles", "carrot stew", "cheese pie", "plum tart", "corn bread", "vegetable soup",
         "lemon cake", "rice pudding", "warm muffins"]
PLACES = ["the forest", "the village", "the river", "the lake", "the garden", "the park", "the beach",
          "the meadow", "the farm", "the market", "the old mill", "the school", "the hill",
          "the library", "the harbor", "the orchard", "the mountain", "the bridge"]
HOMES = ["a small house near <p>", "a cottage at the edge of a {forest|village|field}",
         "a tall house with a {red|green|blue|brown} door", "a little town by the {sea|river|lake}",
         "a quiet village", "a farmhouse with many animals", "a warm house on a hill",
         "a big city with many {lights|streets|parks}", "a house with a {large|small|lovely} garden"]
OUTDOORS = ["behind a {big|gray|flat} rock", "under an old tree", "in the tall grass", "on top of the fence",
            "next to the well", "between two bushes", "under a pile of leaves", "near the pond",
            "under the wooden bench", "at the foot of the hill", "beside the road", "behind the stone wall",
            "under the bridge", "at the edge of the water"]
INDOORS = ["under the bed", "inside a {wooden|paper|dusty} box", "on the kitchen table", "behind the door",
           "at the bottom of the basket", "behind the curtain", "under the stairs", "on the top shelf",
           "in the cupboard", "under a chair"]
FEEL_GOOD = ["happy", "glad", "proud", "excited", "cheerful", "thankful", "pleased"]
TRAITS = ["kind", "brave", "curious", "clever", "quiet", "shy", "cheerful", "gentle", "patient",
          "friendly", "careful", "playful", "stubborn", "polite", "honest", "hopeful"]
RELATIVES = [("mother", "she"), ("father", "he"), ("grandmother", "she"), ("grandfather", "he"),
             ("aunt", "she"), ("uncle", "he"), ("big sister", "she"), ("big brother", "he"),
             ("teacher", "she"), ("neighbor", "he")]
WEATHER = {
    "sunny": ["the sun was shining", "the sky was clear and blue", "it was warm and sunny"],
    "rainy": ["it was raining", "the rain fell on the roof", "gray clouds covered the sky and it rained"],
    "windy": ["a strong wind was blowing", "the wind moved the trees", "it was windy"],
    "snowy": ["snow covered the ground", "it was snowing", "white snow fell from the sky"],
    "foggy": ["a thick fog lay over the land", "it was foggy", "the hills were hidden in the fog"],
    "cloudy": ["soft clouds covered the sky", "it was cloudy", "the sky was full of gray clouds"],
}
TIMES = ["morning", "afternoon", "evening"]
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = """January February March April May June July August September October November
December""".split()
SEASONS = {"spring": "the flowers begin to bloom", "summer": "the days are long and hot",
           "autumn": "the leaves turn red and fall", "winter": "the days are short and cold"}
NUMBERS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen twenty""".split()

_PRONOUNS = {"he": ("he", "him", "his", "himself"), "she": ("she", "her", "her", "herself")}


def pronouns(prefix, which):
    """Variables such as <he> <him> <his> <self> and capitalised <He> <His>, with a prefix."""
    he, him, his, self_ = _PRONOUNS[which]
    return {prefix + "he": he, prefix + "him": him, prefix + "his": his, prefix + "self": self_,
            prefix + "He": he.capitalize(), prefix + "His": his.capitalize()}
