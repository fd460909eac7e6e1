# SPDX-License-Identifier: Apache-2.0
# cmake -D INPUT=file -D OUTPUT=file.c -D NAME=symbol -P embed.cmake: a file as a C array.
file(READ "${INPUT}" hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE "${OUTPUT}" "#include \"proto/descriptors.h\"\n\nconst size_t ${NAME}_size = ${size};\nconst uint8_t ${NAME}[${size}] = {\n${hex}\n};\n")
