/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * A file of encoded events; docs/formats/recording.md. Magic, then records of { u32 size, u32
 * CRC-32C of the event, event }, little-endian. The reader copies nothing: a record is handed out
 * in its own buffer.
 */
#define RECORDING_MAGIC	     "PBREC\0\0\1"
#define RECORDING_MAGIC_SIZE 8
#define RECORDING_HEAD_SIZE  8
#define RECORDING_EVENT_MAX  65536

struct recording;

#define RECORDING_E_END 1
#define RECORDING_E_BAD 2 /* checksum wrong, frame intact: go on */

/* 0, -EBADMSG (not a recording), -errno. */
int recording_open(struct recording **ret_recording, const char *path);
/* Takes @fd (any readable file; need not seek unless rewound); also on failure. */
int recording_open_fd(struct recording **ret_recording, int fd);
struct recording *recording_close(struct recording *recording);
/* *ret_data is valid until the next call. 0, RECORDING_E_END, RECORDING_E_BAD, -EBADMSG (frame
 * broken: no way on), -errno. */
int recording_next(struct recording *recording, const uint8_t **ret_data, size_t *ret_size);
/* Back to the first record. 0 or -errno. */
int recording_rewind(struct recording *recording);

/* The writing side. 0, -EMSGSIZE, -EIO. */
int recording_write_head(FILE *file);
int recording_write(FILE *file, const void *event, size_t size);
