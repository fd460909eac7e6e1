/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/sqlite_schema.h"

/* COMMAND_LIFE numbers: 1 QUEUED, 2 DISPATCHED, 4 REJECTED, 7 to 10 and 13, 14 final
 * (command.proto). */
const char sqlite_schema[] =
	"CREATE TABLE probe(id INTEGER PRIMARY KEY, at INTEGER NOT NULL);"
	"CREATE TABLE hosts(id INTEGER PRIMARY KEY, host_id TEXT NOT NULL UNIQUE,"
	" hostname TEXT NOT NULL DEFAULT '', agent_version TEXT NOT NULL DEFAULT '',"
	" kernel_release TEXT NOT NULL DEFAULT '', boot_id BLOB, peer TEXT NOT NULL DEFAULT '',"
	" first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
	" unacked INTEGER NOT NULL DEFAULT 0, degraded INTEGER NOT NULL DEFAULT 0,"
	" certificate_not_after INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE epochs(id INTEGER PRIMARY KEY, host INTEGER NOT NULL, epoch BLOB NOT NULL,"
	" ordinal INTEGER NOT NULL, mark INTEGER NOT NULL DEFAULT 0,"
	" events INTEGER NOT NULL DEFAULT 0, tombstoned INTEGER NOT NULL DEFAULT 0,"
	" last_event INTEGER NOT NULL DEFAULT 0, ahead INTEGER NOT NULL DEFAULT 0,"
	" UNIQUE(host, epoch));"
	"CREATE TABLE events(id INTEGER PRIMARY KEY, host INTEGER NOT NULL, epoch INTEGER NOT NULL,"
	" seq INTEGER NOT NULL, kind INTEGER NOT NULL, severity INTEGER NOT NULL,"
	" time INTEGER NOT NULL, stored INTEGER NOT NULL, event BLOB NOT NULL);"
	"CREATE INDEX events_host ON events(host);"
	"CREATE TABLE tombstones(id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL,"
	" first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, reason INTEGER NOT NULL,"
	" stored INTEGER NOT NULL);"
	"CREATE TABLE alarms(id INTEGER PRIMARY KEY AUTOINCREMENT, epoch INTEGER NOT NULL,"
	" seq INTEGER NOT NULL, reason TEXT NOT NULL, stored INTEGER NOT NULL, raw BLOB NOT NULL);"
	"CREATE TABLE commands(ordinal INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE,"
	" verb TEXT NOT NULL, issuer TEXT NOT NULL, submitted_by TEXT NOT NULL,"
	" reason TEXT NOT NULL, target TEXT NOT NULL, submitted INTEGER NOT NULL,"
	" not_before INTEGER NOT NULL, expires INTEGER NOT NULL, envelope BLOB NOT NULL);"
	"CREATE TABLE command_hosts(command INTEGER NOT NULL, host_id TEXT NOT NULL,"
	" life INTEGER NOT NULL, refusal INTEGER NOT NULL DEFAULT 0, detail TEXT NOT NULL DEFAULT "
	"'',"
	" changed INTEGER NOT NULL, PRIMARY KEY(command, host_id)) WITHOUT ROWID;"
	"CREATE INDEX command_hosts_host ON command_hosts(host_id, command);"
	"CREATE INDEX command_hosts_open ON command_hosts(command)"
	" WHERE life NOT IN (4, 7, 8, 9, 10, 13, 14);"
	"CREATE TABLE command_transitions(id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" command INTEGER NOT NULL, host_id TEXT NOT NULL, life INTEGER NOT NULL,"
	" refusal INTEGER NOT NULL, detail TEXT NOT NULL, at INTEGER NOT NULL);"
	"CREATE INDEX command_transitions_of ON command_transitions(command, host_id);";

#define EVENT_COLUMNS "SELECT id, epoch, seq, kind, severity, time, stored, event FROM events "
#define HOST_COLUMNS                                                                              \
	"SELECT id, host_id, hostname, agent_version, kernel_release, boot_id, peer, first_seen," \
	" last_seen, unacked, degraded, certificate_not_after FROM hosts "
#define COMMAND_COLUMNS                                                                 \
	"SELECT c.ordinal, c.id, c.verb, c.issuer, c.submitted_by, c.reason, c.target," \
	" c.submitted, c.not_before, c.expires, c.envelope,"                            \
	" (SELECT max(t.id) FROM command_transitions t WHERE t.command = c.ordinal)"    \
	" FROM commands c "

const char *const sqlite_sql[SQLITE_N_SQL] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_BEGIN_READ] = "BEGIN DEFERRED",
	[SQL_PROBE] = "INSERT OR REPLACE INTO probe(id, at) VALUES (1, ?1)",
	[SQL_HOST_ADD] = "INSERT INTO hosts(host_id, first_seen, last_seen) VALUES (?1, ?2, ?2)",
	[SQL_HOST_FIND] = "SELECT id FROM hosts WHERE host_id = ?1",
	[SQL_HOST_HELLO] =
		"UPDATE hosts SET hostname = ?2, agent_version = ?3, kernel_release = ?4,"
		" boot_id = ?5, peer = ?6, last_seen = max(last_seen, ?7),"
		" certificate_not_after = ?8 WHERE id = ?1",
	[SQL_HOST_SEEN] = "UPDATE hosts SET last_seen = max(last_seen, ?2), unacked = ?3,"
			  " degraded = ?4 WHERE id = ?1",
	[SQL_HOSTS_AFTER] = HOST_COLUMNS "WHERE host_id > ?1 ORDER BY host_id",
	[SQL_HOST_ONE] = HOST_COLUMNS "WHERE host_id = ?1",
	[SQL_EPOCH_FIND] = "SELECT e.id, e.mark, e.events, e.tombstoned, e.last_event, e.ahead"
			   " FROM epochs e JOIN hosts h ON h.id = e.host"
			   " WHERE h.host_id = ?1 AND e.epoch = ?2",
	[SQL_EPOCH_ADD] = "INSERT INTO epochs(host, epoch, ordinal) VALUES (?1, ?2,"
			  " (SELECT ifnull(max(ordinal), 0) + 1 FROM epochs WHERE host = ?1))",
	[SQL_EPOCH_SAVE] = "UPDATE epochs SET mark = ?2, events = ?3, tombstoned = ?4,"
			   " last_event = ?5, ahead = ?6 WHERE id = ?1",
	[SQL_EPOCHS_OF] = "SELECT epoch, mark, events, tombstoned, last_event FROM epochs"
			  " WHERE host = ?1 ORDER BY ordinal",
	[SQL_EPOCH_NAME] = "SELECT e.epoch, h.host_id, h.hostname FROM epochs e"
			   " JOIN hosts h ON h.id = e.host WHERE e.id = ?1",
	[SQL_EVENT_ADD] = "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[SQL_EVENT_NEWEST] = "SELECT id, stored FROM events ORDER BY id DESC LIMIT 1",
	[SQL_EVENT_FROM] = "SELECT id, stored FROM events WHERE id >= ?1 ORDER BY id LIMIT 1",
	[SQL_EVENTS_UP] = EVENT_COLUMNS "WHERE id > ?1 ORDER BY id",
	[SQL_EVENTS_DOWN] = EVENT_COLUMNS "WHERE id < ?1 AND id >= ?2 ORDER BY id DESC",
	[SQL_HOST_EVENTS_UP] = EVENT_COLUMNS "INDEXED BY events_host WHERE host = ?3 AND id > ?1"
					     " ORDER BY id",
	[SQL_HOST_EVENTS_DOWN] = EVENT_COLUMNS "INDEXED BY events_host WHERE host = ?3 AND id < ?1"
					       " AND id >= ?2 ORDER BY id DESC",
	[SQL_HOST_RECENT] = "SELECT epoch, seq, event FROM events INDEXED BY events_host"
			    " WHERE host = ?1 ORDER BY id DESC LIMIT 16384",
	[SQL_AHEAD] = "SELECT max(ahead) FROM epochs",
	[SQL_AHEAD_HOST] = "SELECT max(ahead) FROM epochs WHERE host = ?1",
	[SQL_TOMBSTONE_ADD] = "INSERT INTO tombstones(epoch, first_seq, last_seq, reason, stored)"
			      " VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_ALARM_ADD] = "INSERT INTO alarms(epoch, seq, reason, stored, raw)"
			  " VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_COMMAND_ADD] = "INSERT INTO commands(id, verb, issuer, submitted_by, reason, target,"
			    " submitted, not_before, expires, envelope)"
			    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	[SQL_COMMAND_FIND] = "SELECT ordinal, envelope FROM commands WHERE id = ?1",
	[SQL_COMMAND_HOST_ADD] = "INSERT INTO command_hosts(command, host_id, life, changed)"
				 " VALUES (?1, ?2, ?3, ?4)",
	[SQL_COMMAND_HOST_FIND] = "SELECT c.ordinal, h.life FROM commands c JOIN command_hosts h"
				  " ON h.command = c.ordinal WHERE c.id = ?1 AND h.host_id = ?2",
	[SQL_COMMAND_HOST_SET] = "UPDATE command_hosts SET life = ?3, refusal = ?4, detail = ?5,"
				 " changed = ?6 WHERE command = ?1 AND host_id = ?2",
	[SQL_TRANSITION_ADD] =
		"INSERT INTO command_transitions(command, host_id, life, refusal,"
		" detail, at) SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*)"
		" FROM command_transitions WHERE command = ?1 AND host_id = ?2) < 32",
	[SQL_TRANSITION_NEWEST] = "SELECT max(id) FROM command_transitions",
	[SQL_COMMAND_BY_ID] = COMMAND_COLUMNS "WHERE c.id = ?1",
	[SQL_COMMANDS_CHANGED] = COMMAND_COLUMNS
	"JOIN (SELECT command, max(id) AS newest FROM command_transitions WHERE id > ?1"
	" GROUP BY command ORDER BY newest LIMIT ?2) x ON x.command = c.ordinal ORDER BY x.newest",
	[SQL_COMMANDS_UNRECEIVED] = COMMAND_COLUMNS
	"WHERE EXISTS (SELECT 1 FROM command_hosts h WHERE h.command = c.ordinal"
	" AND h.life IN (1, 2)) AND c.ordinal > ?1 ORDER BY c.ordinal LIMIT ?2",
	[SQL_COMMANDS_UNFINISHED] = COMMAND_COLUMNS
	"WHERE EXISTS (SELECT 1 FROM command_hosts h WHERE h.command = c.ordinal"
	" AND h.life NOT IN (4, 7, 8, 9, 10, 13, 14)) AND c.ordinal > ?1 ORDER BY c.ordinal"
	" LIMIT ?2",
	[SQL_COMMANDS_RECENT] =
		COMMAND_COLUMNS "WHERE c.ordinal < ?1 ORDER BY c.ordinal DESC LIMIT ?2",
	[SQL_COMMANDS_RECENT_HOST] = COMMAND_COLUMNS
	"JOIN command_hosts h ON h.command = c.ordinal WHERE h.host_id = ?3 AND c.ordinal < ?1"
	" ORDER BY c.ordinal DESC LIMIT ?2",
	[SQL_COMMAND_HOSTS] = "SELECT host_id, life, refusal, detail, changed FROM command_hosts"
			      " WHERE command = ?1 ORDER BY host_id",
	[SQL_COMMAND_TRANSITIONS] = "SELECT host_id, life, refusal, detail, at"
				    " FROM command_transitions WHERE command = ?1"
				    " ORDER BY host_id, id",
	[SQL_RETAIN_SCAN] = "SELECT id, stored FROM events ORDER BY id LIMIT 2001",
	[SQL_RETAIN_EVENTS] = "DELETE FROM events WHERE id <= ?1",
	[SQL_RETAIN_TOMBSTONES] = "DELETE FROM tombstones WHERE id IN (SELECT id FROM tombstones"
				  " WHERE stored < ?1 ORDER BY id LIMIT 2000)",
	[SQL_RETAIN_ALARMS] = "DELETE FROM alarms WHERE id <= (SELECT max(id) FROM alarms) - 10000"
			      " OR stored < ?1",
	[SQL_RETAIN_COMMANDS] =
		"DELETE FROM commands WHERE ordinal IN (SELECT ordinal FROM commands"
		" WHERE submitted < ?1 AND expires < ?1 ORDER BY ordinal LIMIT 200)",
	[SQL_RETAIN_COMMAND_HOSTS] = "DELETE FROM command_hosts WHERE command NOT IN"
				     " (SELECT ordinal FROM commands)",
	[SQL_RETAIN_TRANSITIONS] = "DELETE FROM command_transitions WHERE command NOT IN"
				   " (SELECT ordinal FROM commands) AND id <"
				   " (SELECT max(id) FROM command_transitions)",
};
