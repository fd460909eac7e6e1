/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/store/sqlite.h"

#define SQLITE_APPLICATION_ID 0x50426c31 /* "PBl1", PRAGMA application_id */
#define SQLITE_SCHEMA_VERSION 1

extern const char sqlite_schema[];
extern const char *const sqlite_sql[SQLITE_N_SQL];
