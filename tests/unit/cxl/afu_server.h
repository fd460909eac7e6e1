/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* Two AFUs, afu0.0m and afu1.0m, in a folder of a mount namespace of this process; see
 * tests/kernel/c/afu_device.c for the commands. */

/* Enters the namespace. False: not possible here, and why was printed. */
bool afu_server_prepare(void);
/* A fresh folder and its server; ready when this returns. */
void afu_server_start(void);
void afu_server_stop(void);
const char *afu_server_path(unsigned number);
/* One line; taken when the call returns. */
void afu_server_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Next line of its output, "" when there is none now. */
const char *afu_server_line(void);
