/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/topology/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "collectors/topology/sysfs.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/file.h"

/*
 * An entry is one allocation: the struct, a ready Subject, its two lists of pointers, and all text
 * behind them. Filling a subject is a struct copy, so an event of a known device costs a hash
 * look-up and one clock read. The rest is about staying true:
 *   - every CHECK_NS the device's generation (DISKSEQ; on older kernels the inode of its folder) is
 * compared; another one means that the number has a new owner;
 *   - every READ_NS everything is read again, because holders change without a new generation;
 *   - a device that is gone keeps its last identity and is asked for once per CHECK_NS;
 *   - a number that was never seen is remembered as unknown for CHECK_NS, so that a storm from a
 * hidden device (paths of native NVMe multipath have no sysfs number) does not become a storm of
 * look-ups.
 */
#define TOPOLOGY_CHECK_NS    (1 * CLOCK_NS_PER_S)
#define TOPOLOGY_READ_NS     (30 * CLOCK_NS_PER_S)
#define TOPOLOGY_MAX_DEVICES 4096
#define TOPOLOGY_N_BUCKETS   1024

struct topology_entry {
	LIST_ENTRY(topology_entry) bucket;
	TAILQ_ENTRY(topology_entry) used;
	uint64_t checked_ns, read_ns; /* CLOCK_MONOTONIC; 0 = at the next use */
	uint64_t generation;	      /* as sysfs_read_generation */
	enum topology_presence presence;
	Pathbell__V1__Subject subject;
	char *links[2 * SYSFS_MAX_LINKS]; /* of subject.holders and subject.parents */
	char text[];
};

LIST_HEAD(topology_bucket, topology_entry);
TAILQ_HEAD(topology_used, topology_entry);

struct topology {
	char *sysfs_path;
	size_t max_devices;
	struct topology_bucket buckets[TOPOLOGY_N_BUCKETS];
	struct topology_used used; /* most recent first */
	struct topology_stats stats;
	char scratch_id[32]; /* of a subject for which there is no memory */
};

static struct topology_bucket *topology_bucket(struct topology *topology, uint32_t major,
					       uint32_t minor)
{
	uint64_t key = ((uint64_t)major << 32 | minor) * UINT64_C(0x9e3779b97f4a7c15);

	return &topology->buckets[key >> 54];
}

int topology_new(struct topology **ret_topology, const struct topology_options *options)
{
	struct topology *topology = calloc(1, sizeof(*topology));
	const char *path = options != NULL ? options->sysfs_path : NULL;

	if (topology == NULL)
		return -ENOMEM;
	TAILQ_INIT(&topology->used);
	topology->max_devices = options != NULL && options->max_devices != 0 ? options->max_devices
									     : TOPOLOGY_MAX_DEVICES;
	topology->sysfs_path = strdup(path != NULL ? path : "/sys");
	if (topology->sysfs_path == NULL) {
		free(topology);
		return -ENOMEM;
	}
	*ret_topology = topology;
	return 0;
}

static void topology_drop(struct topology *topology, struct topology_entry *entry)
{
	LIST_REMOVE(entry, bucket);
	TAILQ_REMOVE(&topology->used, entry, used);
	topology->stats.n_devices--;
	free(entry);
}

struct topology *topology_free(struct topology *topology)
{
	struct topology_entry *entry;

	if (topology == NULL)
		return NULL;
	while ((entry = TAILQ_FIRST(&topology->used)) != NULL)
		topology_drop(topology, entry);
	free(topology->sysfs_path);
	free(topology);
	return NULL;
}

const char *topology_sysfs_path(const struct topology *topology)
{
	return topology->sysfs_path;
}

void topology_stats(const struct topology *topology, struct topology_stats *ret_stats)
{
	*ret_stats = topology->stats;
}

static struct topology_entry *topology_lookup(struct topology *topology, uint32_t major,
					      uint32_t minor)
{
	struct topology_entry *entry;

	LIST_FOREACH (entry, topology_bucket(topology, major, minor), bucket) {
		if (entry->subject.major == major && entry->subject.minor == minor)
			return entry;
	}
	return NULL;
}

/* Text behind the entry: first pass counts (out == NULL), second pass copies. */
struct topology_packer {
	char *out;
	size_t size;
};

static char *topology_pack(struct topology_packer *packer, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = packer->out != NULL ? packer->out + packer->size : NULL;

	if (size == 1)
		return (char *)protobuf_c_empty_string;
	if (copy != NULL)
		memcpy(copy, text, size);
	packer->size += size;
	return copy;
}

static Pathbell__V1__SubjectType topology_type(enum sysfs_type type)
{
	switch (type) {
	case SYSFS_PARTITION:
		return PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_PARTITION;
	case SYSFS_MULTIPATH_MAP:
		return PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_MULTIPATH_MAP;
	case SYSFS_NVME_NAMESPACE:
		return PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_NVME_NAMESPACE;
	default:
		return PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_DISK;
	}
}

static void topology_pack_device(struct topology_packer *packer, const struct sysfs_device *device,
				 Pathbell__V1__Subject *subject, char **links)
{
	pathbell__v1__subject__init(subject);
	subject->type = topology_type(device->type);
	subject->major = device->major;
	subject->minor = device->minor;
	subject->generation = device->diskseq;
	subject->id = topology_pack(packer, device->id);
	subject->name = topology_pack(packer, device->name);
	subject->wwid = topology_pack(packer, device->wwid);
	subject->serial = topology_pack(packer, device->serial);
	subject->model = topology_pack(packer, device->model);
	subject->vendor = topology_pack(packer, device->vendor);
	subject->firmware = topology_pack(packer, device->firmware);
	subject->nqn = topology_pack(packer, device->nqn);
	subject->transport_address = topology_pack(packer, device->transport_address);
	subject->bus_address = topology_pack(packer, device->bus_address);
	subject->uuid = topology_pack(packer, device->uuid);
	subject->holders = links;
	for (size_t i = 0; i < device->holders.n_names; i++)
		links[subject->n_holders++] = topology_pack(packer, device->holders.names[i]);
	subject->parents = links + SYSFS_MAX_LINKS;
	for (size_t i = 0; i < device->parents.n_names; i++)
		subject->parents[subject->n_parents++] =
			topology_pack(packer, device->parents.names[i]);
}

/* Makes an entry of what was read and puts it in the place of @old (may be NULL). NULL: no memory.
 */
static struct topology_entry *topology_insert(struct topology *topology,
					      const struct sysfs_device *device,
					      struct topology_entry *old)
{
	struct topology_packer packer = { 0 };
	char *links[2 * SYSFS_MAX_LINKS];
	Pathbell__V1__Subject subject;
	struct topology_entry *entry;

	topology_pack_device(&packer, device, &subject, links);
	entry = calloc(1, sizeof(*entry) + packer.size);
	if (entry == NULL)
		return NULL;
	packer = (struct topology_packer){ .out = entry->text };
	topology_pack_device(&packer, device, &entry->subject, entry->links);
	if (old != NULL)
		topology_drop(topology, old);
	else if (topology->stats.n_devices >= topology->max_devices) {
		topology_drop(topology, TAILQ_LAST(&topology->used, topology_used));
		topology->stats.evicted++;
	}
	LIST_INSERT_HEAD(topology_bucket(topology, device->major, device->minor), entry, bucket);
	TAILQ_INSERT_HEAD(&topology->used, entry, used);
	topology->stats.n_devices++;
	return entry;
}

/* Reads the device anew. Returns its entry, or NULL where there is no memory. */
static struct topology_entry *topology_read(struct topology *topology, uint32_t major,
					    uint32_t minor, struct topology_entry *old)
{
	struct sysfs_device device;
	struct topology_entry *entry;
	uint64_t generation = 0;
	int r;

	topology->stats.reads++;
	/* Before the rest: a change in between shows at the next check. */
	(void)sysfs_read_generation(topology->sysfs_path, major, minor, &generation);
	r = sysfs_read_device(topology->sysfs_path, major, minor, &device);
	if (r < 0 && old != NULL && old->presence != TOPOLOGY_UNKNOWN) {
		old->presence = TOPOLOGY_GONE;
		return old;
	}
	if (r < 0) {
		device = (struct sysfs_device){ .major = major, .minor = minor };
		sysfs_make_id(&device, NULL);
	}
	entry = topology_insert(topology, &device, old);
	if (entry == NULL)
		return old;
	entry->presence = r < 0 ? TOPOLOGY_UNKNOWN : TOPOLOGY_PRESENT;
	entry->generation = generation;
	return entry;
}

/* The entry is older than CHECK_NS. */
static struct topology_entry *topology_check(struct topology *topology,
					     struct topology_entry *entry, uint64_t now_ns)
{
	uint32_t major = entry->subject.major, minor = entry->subject.minor;
	uint64_t generation;
	int r;

	topology->stats.checks++;
	r = sysfs_read_generation(topology->sysfs_path, major, minor, &generation);
	if (r < 0 && entry->presence != TOPOLOGY_UNKNOWN) {
		entry->presence = TOPOLOGY_GONE;
		return entry;
	}
	if (r == 0 && entry->presence == TOPOLOGY_PRESENT && generation == entry->generation &&
	    now_ns - entry->read_ns < TOPOLOGY_READ_NS)
		return entry;
	entry = topology_read(topology, major, minor, entry);
	entry->read_ns = now_ns;
	return entry;
}

static struct topology_entry *topology_get(struct topology *topology, uint32_t major,
					   uint32_t minor)
{
	struct topology_entry *entry = topology_lookup(topology, major, minor);
	uint64_t now_ns = clock_monotonic_ns();

	if (entry == NULL) {
		entry = topology_read(topology, major, minor, NULL);
		if (entry != NULL)
			entry->read_ns = entry->checked_ns = now_ns;
		return entry;
	}
	if (now_ns - entry->checked_ns >= TOPOLOGY_CHECK_NS) {
		entry = topology_check(topology, entry, now_ns);
		entry->checked_ns = now_ns;
	} else {
		topology->stats.hits++;
	}
	if (entry != TAILQ_FIRST(&topology->used)) {
		TAILQ_REMOVE(&topology->used, entry, used);
		TAILQ_INSERT_HEAD(&topology->used, entry, used);
	}
	return entry;
}

enum topology_presence topology_fill_subject(struct topology *topology, uint32_t major,
					     uint32_t minor, Pathbell__V1__Subject *ret_subject)
{
	const struct topology_entry *entry = topology_get(topology, major, minor);

	if (entry != NULL) {
		*ret_subject = entry->subject;
		return entry->presence;
	}
	pathbell__v1__subject__init(ret_subject);
	snprintf(topology->scratch_id, sizeof(topology->scratch_id), "dev:%u:%u", major, minor);
	ret_subject->type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_DISK;
	ret_subject->id = topology->scratch_id;
	ret_subject->major = major;
	ret_subject->minor = minor;
	return TOPOLOGY_UNKNOWN;
}

void topology_invalidate(struct topology *topology)
{
	struct topology_entry *entry;

	TAILQ_FOREACH (entry, &topology->used, used)
		entry->checked_ns = entry->read_ns = 0;
}

struct topology_search {
	struct topology *topology;
	const char *text;
	size_t n_disks, n_partitions;
	struct topology_place disk, partition;
};

static void topology_set_place(const struct topology *topology, const struct sysfs_device *device,
			       struct topology_place *ret_place)
{
	ret_place->major = device->major;
	ret_place->minor = device->minor;
	snprintf(ret_place->name, sizeof(ret_place->name), "%s", device->name);
	snprintf(ret_place->path, sizeof(ret_place->path), "%s/%s", topology->sysfs_path,
		 device->path);
}

static bool topology_is_called(const struct sysfs_device *device, const char *text)
{
	const char *const names[] = { device->id,  device->wwid,    device->serial,
				      device->nqn, device->dm_name, device->uuid };
	const char *dash = strchr(device->uuid, '-');

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i][0] != '\0' && strcmp(names[i], text) == 0)
			return true;
	}
	return dash != NULL && strcmp(dash + 1, text) == 0;
}

static int topology_visit(void *data, const char *name, uint32_t major, uint32_t minor)
{
	struct topology_search *search = data;
	struct sysfs_device device;

	if (sysfs_read_device(search->topology->sysfs_path, major, minor, &device) < 0 ||
	    !topology_is_called(&device, search->text))
		return 0;
	if (device.type == SYSFS_PARTITION) {
		search->n_partitions++;
		topology_set_place(search->topology, &device, &search->partition);
	} else {
		search->n_disks++;
		topology_set_place(search->topology, &device, &search->disk);
	}
	return 0;
}

/* sda, /dev/sda, cciss/c0d0, 8:0, dev:8:0 */
static bool topology_find_direct(struct topology *topology, const char *text,
				 struct topology_place *ret_place)
{
	char path[PATH_MAX], line[32], name[SYSFS_NAME];
	struct sysfs_device device;
	uint32_t major, minor;

	if (strncmp(text, "dev:", 4) == 0)
		text += 4;
	if (!sysfs_parse_devt(text, &major, &minor)) {
		if (text[0] == '\0' || text[0] == '.' || strlen(text) >= sizeof(name))
			return false;
		snprintf(name, sizeof(name), "%s", text);
		/* sysfs spells the slash of a disk name as '!' (drivers/base/core.c, 6.12). */
		for (char *slash = name; (slash = strchr(slash, '/')) != NULL;)
			*slash = '!';
		snprintf(path, sizeof(path), "%s/class/block/%s/dev", topology->sysfs_path, name);
		if (file_read_line(AT_FDCWD, path, line, sizeof(line)) < 0 ||
		    !sysfs_parse_devt(line, &major, &minor))
			return false;
	}
	if (sysfs_read_device(topology->sysfs_path, major, minor, &device) < 0)
		return false;
	topology_set_place(topology, &device, ret_place);
	return true;
}

int topology_find(struct topology *topology, const char *id_or_name,
		  struct topology_place *ret_place)
{
	struct topology_search search = { .topology = topology };
	size_t n;
	int r;

	if (strncmp(id_or_name, "/dev/", 5) == 0)
		id_or_name += 5;
	if (topology_find_direct(topology, id_or_name, ret_place))
		return 0;
	if (strncmp(id_or_name, "mapper/", 7) == 0)
		id_or_name += 7;
	search.text = id_or_name;
	if (id_or_name[0] == '\0')
		return TOPOLOGY_E_UNKNOWN;
	r = sysfs_walk(topology->sysfs_path, topology_visit, &search);
	if (r < 0)
		return r;
	n = search.n_disks > 0 ? search.n_disks : search.n_partitions;
	if (n == 0)
		return TOPOLOGY_E_UNKNOWN;
	*ret_place = search.n_disks > 0 ? search.disk : search.partition;
	return n == 1 ? 0 : TOPOLOGY_E_AMBIGUOUS;
}

struct topology_list {
	struct topology *topology;
	struct topology_disk *disks;
	size_t n_disks, capacity;
};

static bool topology_exists(const struct topology *topology, const char *name, const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/class/block/%s/%s", topology->sysfs_path, name, file);
	return access(path, F_OK) == 0;
}

static int topology_list_visit(void *data, const char *name, uint32_t major, uint32_t minor)
{
	struct topology_list *list = data;

	if (topology_exists(list->topology, name, "partition") || (strncmp(name, "ram", 3) == 0) ||
	    (strncmp(name, "loop", 4) == 0 &&
	     !topology_exists(list->topology, name, "loop/backing_file")))
		return 0;
	if (list->n_disks == list->capacity) {
		size_t capacity = list->capacity == 0 ? 32 : 2 * list->capacity;
		struct topology_disk *disks = reallocarray(list->disks, capacity, sizeof(*disks));

		if (disks == NULL)
			return -ENOMEM;
		list->disks = disks;
		list->capacity = capacity;
	}
	list->disks[list->n_disks++] = (struct topology_disk){ major, minor };
	return 0;
}

static int topology_compare(const void *a, const void *b)
{
	const struct topology_disk *x = a, *y = b;

	if (x->major != y->major)
		return x->major < y->major ? -1 : 1;
	return x->minor < y->minor ? -1 : x->minor > y->minor;
}

int topology_list_disks(struct topology *topology, struct topology_disk **ret_disks,
			size_t *ret_n_disks)
{
	struct topology_list list = { .topology = topology };
	int r = sysfs_walk(topology->sysfs_path, topology_list_visit, &list);

	if (r < 0) {
		free(list.disks);
		return r;
	}
	if (list.n_disks > 0)
		qsort(list.disks, list.n_disks, sizeof(*list.disks), topology_compare);
	*ret_disks = list.disks;
	*ret_n_disks = list.n_disks;
	return 0;
}

static uint64_t topology_number(int dir_fd, const char *file, int base)
{
	char text[64];

	if (file_read_line(dir_fd, file, text, sizeof(text)) < 0)
		return 0;
	return strtoull(text, NULL, base);
}

void topology_read_state(struct topology *topology, uint32_t major, uint32_t minor,
			 char ret_text[64], Pathbell__V1__DeviceState *ret_state)
{
	char path[PATH_MAX], line[64];
	_cleanup_fd_ int fd = -1;
	unsigned reads = 0, writes = 0;

	snprintf(path, sizeof(path), "%s/dev/block/%u:%u", topology->sysfs_path, major, minor);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret_text[0] = '\0';
	ret_state->state = ret_text;
	ret_state->present = fd >= 0;
	if (fd < 0)
		return;
	if (file_read_line(fd, "device/state", ret_text, 64) < 0)
		ret_text[0] = '\0';
	sysfs_clean(ret_text);
	ret_state->size_sectors = topology_number(fd, "size", 10);
	ret_state->read_only = topology_number(fd, "ro", 10) != 0;
	ret_state->removable = topology_number(fd, "removable", 10) != 0;
	/* SCSI prints it as 0x... (scsi_sysfs.c, show_iostat_ioerr_cnt, 6.12). */
	ret_state->io_errors = topology_number(fd, "device/ioerr_cnt", 16);
	if (file_read_line(fd, "inflight", line, sizeof(line)) == 0 &&
	    sscanf(line, "%9u %9u", &reads, &writes) == 2)
		ret_state->in_flight = reads + writes;
}
