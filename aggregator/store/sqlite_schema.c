/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/sqlite_schema.h"

/* COMMAND_LIFE numbers: 1 QUEUED, 2 DISPATCHED, 12 INDETERMINATE; 4, 7 to 11, 13 and 14 final
 * (event.proto). A migration is never changed once it was released. */
static const char schema_1[] =
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

/* command_hosts_open had TIMED_OUT (11) among the open ones. */
static const char schema_2[] =
	"ALTER TABLE commands ADD COLUMN campaign INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE commands ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0;"
	"DROP INDEX command_hosts_open;"
	"CREATE INDEX command_hosts_open ON command_hosts(command)"
	" WHERE life NOT IN (4, 7, 8, 9, 10, 11, 13, 14);"
	"CREATE TABLE campaigns(ordinal INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE,"
	" name TEXT NOT NULL, verb TEXT NOT NULL, issuer TEXT NOT NULL, submitted_by TEXT NOT NULL,"
	" reason TEXT NOT NULL, policy BLOB NOT NULL, submitted INTEGER NOT NULL,"
	" not_before INTEGER NOT NULL, expires INTEGER NOT NULL, timeout INTEGER NOT NULL,"
	" total INTEGER NOT NULL, state INTEGER NOT NULL, state_reason TEXT NOT NULL DEFAULT '',"
	" wave INTEGER NOT NULL, wave_size INTEGER NOT NULL, wave_used INTEGER NOT NULL DEFAULT 0,"
	" forgiven INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL,"
	" version INTEGER NOT NULL DEFAULT 1);"
	"CREATE INDEX campaigns_open ON campaigns(ordinal) WHERE state IN (1, 2, 3);"
	"CREATE TABLE campaign_hosts(campaign INTEGER NOT NULL, position INTEGER NOT NULL,"
	" command INTEGER NOT NULL, host_id TEXT NOT NULL, target TEXT NOT NULL,"
	" dispatched INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY(campaign, position)) WITHOUT ROWID;"
	"CREATE TABLE audit(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL,"
	" certificate TEXT NOT NULL, key_ids TEXT NOT NULL, action TEXT NOT NULL,"
	" command_id BLOB NOT NULL, campaign_id BLOB NOT NULL, host_id TEXT NOT NULL,"
	" detail TEXT NOT NULL, previous_hash BLOB NOT NULL, hash BLOB NOT NULL);"
	"CREATE TABLE objects(host INTEGER NOT NULL, key TEXT NOT NULL, type INTEGER NOT NULL,"
	" name TEXT NOT NULL, map_uuid TEXT NOT NULL, wwid TEXT NOT NULL, vendor TEXT NOT NULL,"
	" model TEXT NOT NULL, serial TEXT NOT NULL, nqn TEXT NOT NULL, address TEXT NOT NULL,"
	" port TEXT NOT NULL, usable INTEGER NOT NULL, total INTEGER NOT NULL,"
	" changed INTEGER NOT NULL, PRIMARY KEY(host, key)) WITHOUT ROWID;";

const char *const sqlite_migrations[SQLITE_SCHEMA_VERSION] = { schema_1, schema_2 };

#define EVENT_COLUMNS "SELECT id, epoch, seq, kind, severity, time, stored, event FROM events "
#define HOST_COLUMNS                                                                              \
	"SELECT id, host_id, hostname, agent_version, kernel_release, boot_id, peer, first_seen," \
	" last_seen, unacked, degraded, certificate_not_after FROM hosts "
#define COMMAND_COLUMNS                                                                 \
	"SELECT c.ordinal, c.id, c.verb, c.issuer, c.submitted_by, c.reason, c.target," \
	" c.submitted, c.not_before, c.expires, c.envelope,"                            \
	" (SELECT max(t.id) FROM command_transitions t WHERE t.command = c.ordinal),"   \
	" c.cancelled, (SELECT g.id FROM campaigns g WHERE g.ordinal = c.campaign)"     \
	" FROM commands c "
#define CAMPAIGN_COLUMNS                                                                   \
	"SELECT ordinal, id, name, verb, issuer, submitted_by, reason, policy, submitted," \
	" not_before, expires, timeout, total, state, state_reason, wave, wave_size,"      \
	" wave_used, forgiven, changed, version FROM campaigns "
#define CAMPAIGN_HOST                                                                 \
	"SELECT m.command, m.host_id, h.life, m.position, c.id FROM campaign_hosts m" \
	" JOIN command_hosts h ON h.command = m.command AND h.host_id = m.host_id"    \
	" JOIN commands c ON c.ordinal = m.command WHERE m.campaign = ?1 "
#define OBJECT_COLUMNS                                                                    \
	"SELECT h.host_id, o.key, o.type, o.name, o.map_uuid, o.wwid, o.vendor, o.model," \
	" o.serial, o.nqn, o.address, o.port, o.usable, o.total, o.changed, h.hostname"   \
	" FROM hosts h "
/* As command_life_is_final. */
#define FINAL_LIVES "(4, 7, 8, 9, 10, 11, 13, 14)"
/* Ends that count as failures, and INDETERMINATE. */
#define FAILED_LIVES "(4, 8, 9, 10, 11, 12, 14)"

const char *const sqlite_sql[SQLITE_N_SQL] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_BEGIN_READ] = "BEGIN DEFERRED",
	[SQL_SAVE] = "SAVEPOINT one",
	[SQL_SAVE_ROLLBACK] = "ROLLBACK TO one",
	[SQL_SAVE_RELEASE] = "RELEASE one",
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
			    " submitted, not_before, expires, envelope, campaign)"
			    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[SQL_COMMAND_FIND] = "SELECT ordinal, envelope, campaign FROM commands WHERE id = ?1",
	[SQL_COMMAND_HOST_ADD] = "INSERT INTO command_hosts(command, host_id, life, changed)"
				 " VALUES (?1, ?2, ?3, ?4)",
	[SQL_COMMAND_HOST_FIND] = "SELECT c.ordinal, h.life, c.campaign FROM commands c"
				  " JOIN command_hosts h"
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
	" AND h.life NOT IN " FINAL_LIVES ") AND c.ordinal > ?1 ORDER BY c.ordinal"
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
	[SQL_RETAIN_CAMPAIGNS] = "DELETE FROM campaigns WHERE ordinal IN (SELECT ordinal"
				 " FROM campaigns WHERE submitted < ?1 AND expires < ?1"
				 " ORDER BY ordinal LIMIT 50)",
	[SQL_RETAIN_CAMPAIGN_HOSTS] = "DELETE FROM campaign_hosts WHERE campaign NOT IN"
				      " (SELECT ordinal FROM campaigns)",
	/* From the front only, and never the newest: the chain goes on from it. */
	[SQL_RETAIN_AUDIT] = "DELETE FROM audit WHERE seq < (SELECT min(seq) + 2000 FROM audit)"
			     " AND seq < ifnull((SELECT seq FROM audit WHERE at >= ?1 ORDER BY seq"
			     " LIMIT 1), (SELECT max(seq) FROM audit))",
	[SQL_COMMAND_CANCEL] = "UPDATE commands SET cancelled = ?2 WHERE ordinal = ?1",
	[SQL_COMMAND_HOSTS_QUEUED] = "SELECT host_id FROM command_hosts WHERE command = ?1"
				     " AND life = 1 AND host_id > ?2 ORDER BY host_id"
				     " LIMIT 1",
	[SQL_COMMAND_HOSTS_NOT_CANCELLED] = "SELECT count(*) FROM command_hosts"
					    " WHERE command = ?1 AND life <> 13",
	[SQL_CAMPAIGN_ADD] = "INSERT INTO campaigns(id, name, verb, issuer, submitted_by, reason,"
			     " policy, submitted, not_before, expires, timeout, total, state, wave,"
			     " wave_size, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
			     " ?11, ?12, 1, 1, ?13, ?8)",
	[SQL_CAMPAIGN_FIND] = "SELECT ordinal FROM campaigns WHERE id = ?1",
	[SQL_CAMPAIGN_SET] = "UPDATE campaigns SET state = ?2, state_reason = ?3, wave = ?4,"
			     " wave_size = ?5, wave_used = ?6, forgiven = ?7, changed = ?8,"
			     " version = version + 1 WHERE ordinal = ?1",
	[SQL_CAMPAIGN_BUMP] = "UPDATE campaigns SET changed = ?2, version = version + 1"
			      " WHERE ordinal = ?1",
	[SQL_CAMPAIGN_HOST_ADD] = "INSERT INTO campaign_hosts(campaign, position, command, host_id,"
				  " target) VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_CAMPAIGN_HOST_AT] = CAMPAIGN_HOST "AND m.position = ?2",
	[SQL_CAMPAIGN_HOST_DISPATCHED] = "UPDATE campaign_hosts SET dispatched = ?3"
					 " WHERE campaign = ?1 AND position = ?2",
	[SQL_CAMPAIGN_HOST_LOST] = "UPDATE campaign_hosts SET lost = 1"
				   " WHERE campaign = ?1 AND position = ?2",
	[SQL_CAMPAIGN_QUEUED] =
		CAMPAIGN_HOST "AND m.position > ?2 AND h.life = 1 ORDER BY m.position LIMIT 1",
	[SQL_CAMPAIGN_BY_ID] = CAMPAIGN_COLUMNS "WHERE id = ?1",
	[SQL_CAMPAIGNS_RECENT] =
		CAMPAIGN_COLUMNS "WHERE ordinal < ?1 ORDER BY ordinal DESC LIMIT ?2",
	[SQL_CAMPAIGNS_OPEN] = CAMPAIGN_COLUMNS
	"WHERE state IN (1, 2, 3) AND ordinal < ?1 ORDER BY ordinal DESC LIMIT ?2",
	[SQL_CAMPAIGN_COUNTS] = "SELECT h.life, m.lost, count(*) FROM campaign_hosts m"
				" JOIN command_hosts h ON h.command = m.command"
				" AND h.host_id = m.host_id WHERE m.campaign = ?1"
				" GROUP BY h.life, m.lost",
	[SQL_CAMPAIGN_FAILURES] =
		"SELECT m.host_id, h.life, h.refusal, h.detail, h.changed FROM campaign_hosts m"
		" JOIN command_hosts h ON h.command = m.command AND h.host_id = m.host_id"
		" WHERE m.campaign = ?1 AND (h.life IN " FAILED_LIVES
		" OR (m.lost = 1 AND h.life NOT IN " FINAL_LIVES
		")) ORDER BY h.changed DESC LIMIT 100",
	[SQL_CAMPAIGN_MEMBERS] = "SELECT m.host_id, m.target, m.dispatched, m.lost, h.life, c.id"
				 " FROM campaign_hosts m JOIN commands c ON c.ordinal = m.command"
				 " JOIN command_hosts h ON h.command = m.command"
				 " AND h.host_id = m.host_id WHERE m.campaign = ?1"
				 " ORDER BY m.position",
	[SQL_AUDIT_ADD] = "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
			  " ?12)",
	[SQL_AUDIT_NEWEST] = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1",
	[SQL_AUDIT_AFTER] = "SELECT seq, at, actor, certificate, key_ids, action, command_id,"
			    " campaign_id, host_id, detail, previous_hash, hash FROM audit"
			    " WHERE seq > ?1 ORDER BY seq",
	[SQL_OBJECT_UPDATE] = "UPDATE objects SET type = ?3, name = ?4, map_uuid = ?5, wwid = ?6,"
			      " vendor = ?7, model = ?8, serial = ?9, nqn = ?10, address = ?11,"
			      " port = ?12, usable = ?13, total = ?14, changed = ?15"
			      " WHERE host = ?1 AND key = ?2",
	[SQL_OBJECT_ADD] = "INSERT INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
			   " ?11, ?12, ?13, ?14, ?15)",
	[SQL_OBJECT_DROP] = "DELETE FROM objects WHERE host = ?1 AND key = ?2",
	[SQL_OBJECT_COUNT] = "SELECT count(*) FROM objects WHERE host = ?1",
	[SQL_OBJECT_TRIM] = "DELETE FROM objects WHERE host = ?1 AND key IN (SELECT key"
			    " FROM objects WHERE host = ?1 ORDER BY changed LIMIT ?2)",
	[SQL_OBJECTS] =
		OBJECT_COLUMNS "LEFT JOIN objects o ON o.host = h.id ORDER BY h.host_id, o.key",
	[SQL_OBJECTS_HOST] = OBJECT_COLUMNS
	"LEFT JOIN objects o ON o.host = h.id WHERE h.host_id = ?1 ORDER BY o.key",
};
