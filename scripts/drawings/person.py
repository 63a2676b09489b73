"""A standing person, from head to knees."""

from dataclasses import dataclass

from drawings.garment import Cuff, Fit, Garment
from drawings.pen import SHADOW, WHITE, Colour, Pen, Point, along, arc, curve, limb, mix, symmetric


@dataclass(frozen=True)
class Arm:
    """How far an arm's two parts swing out from the vertical, in degrees."""

    upper: float
    fore: float


@dataclass(frozen=True)
class Person:
    """A standing person: build as half widths in cm, pose, colours, clothes."""

    shoulders: float
    chest: float
    waist: float
    hips: float
    arms: tuple[Arm, Arm]  # left and right in the picture
    head_tilt: float
    skin: Colour
    hair: Colour
    eyes: Colour
    lips: Colour
    trousers: Colour
    top: Garment


def shoulder_joint(person: Person) -> Point:
    return person.shoulders - 3.6, 39


def worn_cuff(person: Person, arm: Arm) -> Cuff:
    middle = along(shoulder_joint(person), arm.upper, 18)
    return Cuff(outer=along(middle, arm.upper + 90, 5.8), inner=along(middle, arm.upper - 90, 5.2))


def worn_fit(person: Person) -> Fit:
    """Where a top's seams lie on the person, in the person's frame."""
    left, right = person.arms
    return Fit(
        neck=(7.4, 30.5),
        neck_depth=5.5,
        shoulder=(person.shoulders, 34.6),
        armpit=(person.chest + 0.8, 49),
        waist=(person.waist + 2.2, 67),
        hem=(person.hips + 0.8, 88),
        sleeve_bow=0.08,
        cuffs=(worn_cuff(person, left), worn_cuff(person, right)),
    )


def draw_hand(pen: Pen, skin: Colour) -> None:
    """A relaxed hand below the pen's origin, the wrist; the thumb at the right."""
    pen.fill(symmetric(curve((0, -2), (1.9, -1.5), (2.7, 3), (2.9, 6), (2.2, 7.6), (0, 8))), skin)
    pen.stroke([(-2.1, 6), (-2.4, 9.4), (-1.8, 12)], [0.75, 0.75, 0.6], skin)
    pen.stroke([(-0.8, 6.6), (-1, 10.6), (-0.5, 13.6)], [0.82, 0.82, 0.66], skin)
    pen.stroke([(0.6, 6.6), (0.6, 11), (0.7, 14.2)], [0.85, 0.85, 0.68], skin)
    pen.stroke([(2, 6), (2.2, 10), (1.7, 13)], [0.82, 0.82, 0.66], skin)
    for gap in (
        [(-1.5, 8.4), (-1.75, 10.5), (-1.3, 12.6)],
        [(-0.1, 8.6), (-0.2, 11), (0, 14)],
        [(1.4, 8.4), (1.4, 11), (1.3, 13.4)],
    ):
        pen.shade(limb(gap, [0.03, 0.12, 0.14]), SHADOW, 0.26)
    pen.shade(limb([(2.2, 4.6), (2.3, 8)], [0.4, 0.5]), SHADOW, 0.35, 0.35)
    pen.stroke([(1.4, 1), (3, 4.2), (3.1, 8)], [1.2, 1.05, 0.7], skin)


def draw_arm(pen: Pen, person: Person, arm: Arm) -> None:
    shoulder = shoulder_joint(person)
    elbow = along(shoulder, arm.upper, 29)
    wrist = along(elbow, arm.fore, 24)
    draw_hand(pen.at(wrist, -arm.fore, mirror=-1), person.skin)
    path = [shoulder, along(shoulder, arm.upper, 15), elbow, along(elbow, arm.fore, 9), wrist]
    pen.fill(limb(path, [4.4, 4.2, 3.4, 3.5, 2.2]), person.skin)
    inner = [(x - 2.8, y) for x, y in path[1:]]
    pen.shade(limb(inner, [0.8, 0.8, 0.8, 0.2]), SHADOW, 0.2, 0.8)


def draw_trousers(pen: Pen, person: Person) -> None:
    hips, line = person.hips, mix(person.trousers, SHADOW, 0.5)
    leg = [
        *curve((0, 70), (person.waist, 70), (hips, 88), (hips - 1.2, 105), (hips - 3, 126), (hips - 3.4, 150)),
        *curve((2.8, 150), (2, 126), (0.8, 104), (0, 97)),
    ]
    for side in pen.sides():
        side.fill(leg, person.trousers)
        side.stroke([(hips - 7, 86), (hips - 5, 92), (hips - 0.8, 95)], [0.14] * 3, line)
        side.shade(limb([(2, 99), (4, 124), (5, 150)], [1.6, 2, 2]), SHADOW, 0.45, 1.6)
        side.shade(limb([(hips, 90), (hips - 2.5, 124), (hips - 3, 150)], [1.2] * 3), SHADOW, 0.4, 1.4)
        side.shade(limb([(hips - 8, 98), (hips - 8.5, 120), (hips - 9, 150)], [1.6, 1.8, 1.6]), WHITE, 0.14, 1.8)
        for inner, y, outer in ((1, 97, 8), (3, 125.4, 9), (3, 129.4, 7)):
            crease = [(inner, y), ((inner + outer) / 2, y + 1.1), (outer, y + 0.4)]
            side.shade(limb(crease, [0.4, 0.35, 0.1]), SHADOW, 0.4, 0.4)
    pen.stroke([(0, 84), (0.5, 92), (0, 97)], [0.14] * 3, line)


def draw_neck(pen: Pen, person: Person) -> None:
    shoulder, side = (person.shoulders - 2, 35.5), (person.chest, 48)
    slope = curve((0, 15), (4.6, 17), (4.6, 26), (6, 29.8), (11, 32.4), shoulder, side)
    pen.fill(symmetric([*slope, (0, 48)]), person.skin)
    pen.shade(symmetric(curve((0, 18), (6, 18), (5, 25), (0, 28.5))), SHADOW, 0.32, 0.8)


def draw_eye(pen: Pen, person: Person) -> None:
    """The right-hand eye and brow around the pen's origin."""
    lid = curve((-1.6, 0.3), (-0.7, -0.65), (0.5, -0.75), (1.7, 0))
    white = [*lid, *curve((1.7, 0), (0.6, 0.75), (-0.6, 0.75), (-1.6, 0.3))]
    eyeball = pen.on(pen.image.copy())
    eyeball.fill(white, (250, 247, 243))
    eyeball.fill(arc((0, 0), 0.85, 0.85), person.eyes)
    eyeball.fill(arc((0, 0), 0.42, 0.42), mix(person.eyes, SHADOW, 0.85))
    eyeball.fill(arc((0.28 * pen.mirror, -0.3), 0.2, 0.2), WHITE)  # one lamp lights both eyes from the same side
    pen.paint(white, eyeball.image)
    lashes = [(-1.6, 0.3), (-0.7, -0.65), (0.5, -0.78), (1.5, -0.15), (2.1, 0.1)]
    pen.stroke(lashes, [0.06, 0.16, 0.2, 0.2, 0.04], mix(person.hair, SHADOW, 0.6))
    pen.stroke([(-1.3, -1.15), (0.2, -1.6), (1.7, -0.95)], [0.03, 0.08, 0.03], mix(person.skin, SHADOW, 0.35))
    pen.stroke([(-1.7, -2.6), (0.2, -3.2), (2.3, -2.5)], [0.26, 0.3, 0.08], mix(person.hair, person.skin, 0.12))


def draw_nose_and_mouth(pen: Pen, person: Person) -> None:
    pen.shade(limb([(1, 0.5), (1.1, 2.6), (1.2, 4)], [0.2, 0.35, 0.5]), SHADOW, 0.2, 0.4)
    tip = [(-1.1, 4.2), (-0.5, 4.75), (0.5, 4.75), (1.1, 4.2)]
    pen.stroke(tip, [0.06, 0.13, 0.13, 0.06], mix(person.skin, SHADOW, 0.38))
    left, right = (-2.3, 6.9), (2.3, 6.9)
    pen.fill(curve(left, (0, 7), right, (1.2, 8), (0, 8.35), (-1.2, 8), left), person.lips)
    upper = [*curve(left, (-0.7, 6.35), (0, 6.55), (0.7, 6.35), right), *curve(right, (0, 7.3), left)]
    pen.fill(upper, mix(person.lips, SHADOW, 0.12))
    parting = [(-2.6, 6.75), (-1.2, 7.1), (1.2, 7.1), (2.6, 6.75)]
    pen.stroke(parting, [0.08, 0.1, 0.1, 0.08], mix(person.lips, SHADOW, 0.5))
    pen.shade(arc((0, 9.2), 1.2, 0.25), SHADOW, 0.25, 0.3)


def draw_face(pen: Pen, person: Person) -> None:
    """The face around the pen's origin, the middle between the eyes."""
    cheek = curve((0, -12), (5, -10.6), (7.3, -5), (7.4, 0.5), (6.9, 4.5), (5.2, 8.2), (2.4, 10.6), (0, 11))
    pen.fill(symmetric(cheek), person.skin)
    for side in pen.sides():
        side.shade(arc((4.6, 4.4), 1.8, 1.3), person.lips, 0.35, 1)
        side.shade(limb([(7.2, -3), (7, 4), (5, 8.4)], [0.6, 0.6, 0.3]), SHADOW, 0.2, 0.8)
        draw_eye(side.at((3.25, 0.4)), person)
    draw_nose_and_mouth(pen, person)


def draw_hair_behind(pen: Pen, person: Person) -> None:
    half = curve((0, -13), (5, -12), (8.9, -6), (10, 2), (9.8, 8), (8.4, 11.5), (5, 12.2), (0, 12))
    pen.fill(symmetric(half), mix(person.hair, SHADOW, 0.35))


def draw_hair(pen: Pen, person: Person) -> None:
    """A chin-length bob parted at one side."""
    parting, crown = (-2.4, -9.2), (-2, -13.8)
    right = [
        *curve(parting, (3, -7.4), (6.4, -3), (7.2, 2.5), (6.6, 7.5), (7.8, 11.6)),
        *curve((7.8, 11.6), (10, 8), (10.2, 0), (8.9, -7), (5.8, -11.9), (2, -13.8), crown),
    ]
    left = [
        *curve(parting, (-5.2, -6.4), (-6.9, -2), (-7.3, 2.5), (-6.7, 7.5), (-7.8, 11.6)),
        *curve((-7.8, 11.6), (-10, 8), (-10.2, 0), (-8.9, -7), (-5.8, -11.9), crown, (2, -13.8)),
    ]
    for lock in (left, right):
        pen.fill(lock, person.hair)
    for path in ([(-0.6, -11.5), (4.5, -9.5), (7.6, -4), (8.6, 2)], [(-4, -11), (-7, -7), (-8.4, -1), (-8.7, 3)]):
        pen.shade(limb(path, [0.2, 0.7, 0.7, 0.1]), WHITE, 0.16, 0.5)
    pen.stroke([parting, crown], [0.1, 0.05], mix(person.hair, SHADOW, 0.5))


def draw_figure(pen: Pen, person: Person) -> None:
    """All of the person but the top, which `draw_top` draws; the pen's origin lies above the middle of the head."""
    head = pen.at((0, 14), person.head_tilt)
    draw_hair_behind(head, person)
    draw_trousers(pen, person)
    draw_neck(pen, person)
    for side, arm in zip(pen.sides(), person.arms, strict=True):
        draw_arm(side, person, arm)
    draw_face(head, person)
    draw_hair(head, person)
