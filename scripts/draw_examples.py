"""Draw the example pictures: a person, the same person with the area to dress painted green, and two garments.

Everything is drawn here from proportions in centimetres, so the pictures show nobody, carry no third party's rights
and come out the same, byte for byte, on every run. All are of one size, and each garment is laid where it will be worn,
since the miniature models know no others:

    person.png         a person from head to knees in a plain T-shirt
    person_masked.png  the same picture; every pixel of the T-shirt is (0, 255, 0)
    garment.png        a striped T-shirt, laid flat
    garment_2.png      a dotted polo shirt, laid flat
"""

import argparse
from pathlib import Path

from drawings.dressing import SIZES, Dressing, dress
from drawings.garment import Garment
from drawings.person import Arm, Person
from drawings.picture import FLOOR, WALL

UNDERSHIRT = Garment((243, 241, 237), (243, 241, 237), (243, 241, 237), "plain", "crew")
STRIPED = Garment((244, 236, 219), (36, 52, 92), (36, 52, 92), "stripes", "crew")
DOTTED = Garment((196, 58, 48), (250, 240, 226), (176, 46, 40), "dots", "polo")
PERSON = Person(
    shoulders=17.4,
    chest=14.6,
    waist=12.6,
    hips=17.2,
    arms=(Arm(16, 4), Arm(19, 8)),
    head_tilt=2,
    skin=(228, 178, 146),
    hair=(70, 44, 36),
    eyes=(92, 66, 48),
    lips=(196, 98, 92),
    trousers=(62, 78, 108),
    top=UNDERSHIRT,
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the example pictures of a person and of garments.")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("examples"),
        metavar="FOLDER",
        help="where to write the four PNG files; made if missing (default: %(default)s)",
    )
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    striped, dotted = example(STRIPED), example(DOTTED)
    pictures = {
        "person.png": striped.person,
        "person_masked.png": striped.masked,
        "garment.png": striped.garment,
        "garment_2.png": dotted.garment,
    }
    for name, picture in pictures.items():
        picture.save(output / name, optimize=True)


def example(garment: Garment) -> Dressing:
    size = SIZES[0]
    return dress(PERSON, garment, size, (size[0] / 2, 122), (WALL, FLOOR))


if __name__ == "__main__":
    main()
