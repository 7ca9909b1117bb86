"""What the probe reads of bytecode: import statements, and the lines of a function of the import system."""

import sys

# ---- below this line is the text of the probe


# A code's instructions before it is executed: what ``co_code`` makes of these takes long.
_RAW = "_co_code_adaptive" if sys.version_info >= (3, 11) else "co_code"


def _opcodes():
    """Numbers of the instructions that are looked for, and how many low bits of an import statement's argument are no part of its name's."""

    # opcode.py would be one more entry in sys.modules: ask what the compiler makes of these instead.
    def importing():
        import a  # noqa: F401

    def assigning():
        a = 1  # noqa: F841
        b = None  # noqa: F841

    (import_name,) = set(importing.__code__.co_code[::2]) - set(assigning.__code__.co_code[::2])

    def few(c):
        a, *b = c

    def many(c):
        *a, b = c  # its one argument is the names behind the star times 256

    (extended,) = set(many.__code__.co_code[::2]) - set(few.__code__.co_code[::2])

    def names():
        import a  # noqa: F401
        from b import c  # noqa: F401

    def plain():
        class Body:
            import a
            from b import c  # noqa: F401

    straight = {op for const in plain.__code__.co_consts for op in getattr(const, _RAW, b"")[::2]}
    if sys.version_info >= (3, 11):  # before, it is where a frame is at a wide statement
        straight.add(extended)
    raw = names.__code__.co_code
    second = raw.rindex(bytes((import_name,)), 0, len(raw) - 2)
    second -= second % 2
    # How many low bits of an import statement's argument say whether it is lazy: the rest is the number of a name, here 1.
    return import_name, extended, raw[second - 2], raw[second + 1].bit_length() - 1, bytes(straight)


_IMPORT_NAME, _EXTENDED_ARG, _LOAD_CONST, _LAZINESS, _STRAIGHT = _opcodes()


def _straight(code, raw):
    """Up to where import statements and assignments of constants are all there is in the code of a body: each is executed once, in order."""
    instructions, table = raw[::2], getattr(code, "co_exceptiontable", b"")
    end = 2 * (len(instructions) - len(instructions.lstrip(_STRAIGHT)))
    return min(end, 2 * next(_varints(table))) if table else end


def _varints(table):
    """The numbers of an exception table: of each entry start, length, target, depth."""
    value = 0
    for byte in table:
        value = value << 6 | byte & 63
        if not byte & 64:
            yield value
            value = 0


def _return_line(function):
    code = function.__code__
    if hasattr(code, "co_lines"):
        return max(line for _, _, line in code.co_lines() if line)
    return code.co_firstlineno + sum(code.co_lnotab[1::2])


def _one_line_table(code):
    """A line table that puts all of ``code`` on its first line."""
    size = len(code.co_code)
    if sys.version_info < (3, 11):  # pairs of (bytes covered, line delta); 254 is the most
        table = b""
        while size > 0:
            step = min(size, 254)
            table += bytes((step, 0))
            size -= step
        return table
    units, table = size // 2, b""  # 3.11+: entries of up to 8 code units, kind 13 = no column, delta 0
    while units > 0:
        step = min(units, 8)
        table += bytes((0x80 | 13 << 3 | step - 1, 0))
        units -= step
    return table


def _wide_statement(importer, at):
    """:returns: names, dots and module of an import statement, in the long way; None where it is none"""
    raw, consts = importer.code.co_code, importer.consts
    while at >= 0 and raw[at] == _EXTENDED_ARG:  # before 3.11 this is where a frame with many names is
        at += 2
    if at < 0 or raw[at] != _IMPORT_NAME:  # a direct call of __import__: its argument is out of sight
        return None
    index, before = _argument(raw, at)
    names, earlier = _argument(raw, before)
    dots, _ = _argument(raw, earlier)
    # From 3.14 on a small number stands by itself; from 3.15 on None does.
    names = consts[names] if before >= 0 and raw[before] == _LOAD_CONST else None
    if earlier >= 0 and raw[earlier] == _LOAD_CONST:
        dots = consts[dots]
    return names, dots, importer.names[index >> _LAZINESS]


def _argument(raw, at):
    """The argument of the instruction at an offset of bytecode, and the offset of the one before it."""
    if at < 0:
        return -1, -1
    value, shift, back = raw[at + 1], 8, at - 2
    while back >= 0 and raw[back] == _EXTENDED_ARG:
        value |= raw[back + 1] << shift
        shift, back = shift + 8, back - 2
    return value, back
