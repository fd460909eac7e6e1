/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * One encoded event of the made-up host of a generated recording: mostly block errors, some path
 * and controller faults, 200 to 300 bytes. The same seed and index give the same bytes.
 * Event.source.seq is the index, from 1.
 */
#define RECORDING_MAKE_MAX 4096
size_t recording_make(uint64_t seed, uint64_t index, uint8_t ret_data[RECORDING_MAKE_MAX]);
