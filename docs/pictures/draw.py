#!/usr/bin/env python3
"""Draws what a terminal shows as a picture: text with colours on standard input, a PNG at the path that is given; where
a text is given too, from the last line on that has it. docs/pictures/make calls it.

    tmux capture-pane -p -e -t SESSION | docs/pictures/draw.py docs/pictures/install-cilium-gate.png READY

Needs Python with Pillow, and the font DejaVu Sans Mono (Debian: python3-pil, fonts-dejavu-core).
"""

import re
import sys

from PIL import Image, ImageDraw, ImageFont

SIZE = 15
GROUND, PLAIN, DIM = (24, 26, 31), (214, 217, 222), (128, 134, 145)
COLOURS = {
    30: (92, 99, 112), 31: (240, 98, 104), 32: (126, 200, 105), 33: (229, 181, 91),
    34: (97, 160, 235), 35: (198, 120, 221), 36: (86, 190, 200), 37: (214, 217, 222),
}
FONT = "DejaVuSansMono"


def cells(lines):
    """The characters of each line, with their colours and whether they are bold. What is set goes on in the next line."""
    colour, bold, dim = PLAIN, False, False
    rows = [[]]
    for piece in re.split(r"(\x1b\[[0-9;:]*m|\n)", "\n".join(lines)):
        code = re.fullmatch(r"\x1b\[([0-9;:]*)m", piece)
        if piece == "\n":
            rows.append([])
            continue
        if not code:
            rows[-1] += [(character, DIM if dim else colour, bold) for character in piece]
            continue
        for number in (int(n or 0) for n in re.split("[;:]", code[1])):
            if number == 0:
                colour, bold, dim = PLAIN, False, False
            elif number == 1:
                bold = True
            elif number == 2:
                dim = True
            elif number == 22:
                bold = dim = False
            elif number == 39:
                colour = PLAIN
            elif number % 60 in COLOURS:
                colour = COLOURS[number % 60]
    return rows


def main():
    lines = [line.rstrip("\n") for line in sys.stdin]
    while lines and not re.sub(r"\x1b\[[0-9;:]*m", "", lines[-1]).strip():
        lines.pop()
    rows = cells(lines)
    top = sys.argv[2] if len(sys.argv) > 2 else ""
    starts = [at for at, row in enumerate(rows) if top and top in "".join(character for character, _, _ in row)]
    rows = rows[starts[-1]:] if starts else rows
    regular = ImageFont.truetype(f"{FONT}.ttf", SIZE)
    bold = ImageFont.truetype(f"{FONT}-Bold.ttf", SIZE)
    # Not in the font of fixed width: what turns while something goes on.
    braille = ImageFont.truetype("DejaVuSans.ttf", SIZE - 2)
    width, height = round(regular.getlength("M")), SIZE + 5
    columns = max([100] + [len(row) for row in rows])
    picture = Image.new("RGB", (columns * width + 24, len(rows) * height + 24), GROUND)
    pen = ImageDraw.Draw(picture)
    for y, row in enumerate(rows):
        for x, (character, colour, is_bold) in enumerate(row):
            place = (12 + x * width, 12 + y * height)
            font = braille if "\u2800" <= character <= "\u28ff" else bold if is_bold else regular
            pen.text(place, character, fill=colour, font=font)
    # Few colours are in it: a palette makes a tenth of the file. This method keeps also those of a few pixels.
    picture.quantize(256, method=Image.Quantize.FASTOCTREE).save(sys.argv[1], optimize=True)


main()
