/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/topology/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/file.h"
#include "core/hctl.h"

/* Length of a well-formed UTF-8 sequence (RFC 3629 section 4) at @s, 0 = none. */
static size_t sysfs_utf8(const unsigned char *s)
{
	if (s[0] < 0x80)
		return s[0] >= ' ' && s[0] != 0x7f ? 1 : 0;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if ((s[0] & 0xf0) == 0xe0) {
		bool over = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f);

		return !over && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 ? 3 : 0;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		bool over = (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);

		if (over || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
			return 0;
		return (s[3] & 0xc0) == 0x80 ? 4 : 0;
	}
	return 0;
}

void sysfs_clean(char *text)
{
	unsigned char *pos = (unsigned char *)text;
	size_t len, skip = 0;

	while (*pos != '\0') {
		size_t n = sysfs_utf8(pos);

		if (n == 0)
			*pos = *pos == '\t' || *pos == '\n' ? ' ' : '?';
		pos += n == 0 ? 1 : n;
	}
	len = strlen(text);
	while (len > 0 && text[len - 1] == ' ')
		text[--len] = '\0';
	while (text[skip] == ' ')
		skip++;
	memmove(text, text + skip, len - skip + 1);
}

bool sysfs_parse_devt(const char *text, uint32_t *ret_major, uint32_t *ret_minor)
{
	unsigned major, minor;
	int end = 0;

	if (sscanf(text, "%4u:%8u%n", &major, &minor, &end) != 2 || text[end] != '\0')
		return false;
	*ret_major = major;
	*ret_minor = minor;
	return true;
}

void sysfs_make_id(struct sysfs_device *device, const char *parent_id)
{
	int n;

	if (device->type == SYSFS_PARTITION && parent_id != NULL && parent_id[0] != '\0' &&
	    strncmp(parent_id, "dev:", 4) != 0)
		n = snprintf(device->id, sizeof(device->id), "%s-part%u", parent_id,
			     device->partition);
	else if (device->wwid[0] != '\0')
		n = snprintf(device->id, sizeof(device->id), "wwid:%s", device->wwid);
	else if (device->uuid[0] != '\0')
		n = snprintf(device->id, sizeof(device->id), "uuid:%s", device->uuid);
	else if (device->serial[0] != '\0')
		n = snprintf(device->id, sizeof(device->id), "serial:%s", device->serial);
	else
		n = -1;
	/* An identity that had to be cut is none: two devices could share it. */
	if (n < 0 || (size_t)n >= sizeof(device->id))
		snprintf(device->id, sizeof(device->id), "dev:%u:%u", device->major, device->minor);
}

/* Copies what fits. */
static void sysfs_copy(char *ret_text, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(ret_text, text, len);
	ret_text[len] = '\0';
}

static bool sysfs_read_text(int dir_fd, const char *path, char *ret_text, size_t size)
{
	if (file_read_line(dir_fd, path, ret_text, size) < 0) {
		ret_text[0] = '\0';
		return false;
	}
	sysfs_clean(ret_text);
	return ret_text[0] != '\0';
}

static uint64_t sysfs_read_number(int dir_fd, const char *path)
{
	char text[32];

	if (!sysfs_read_text(dir_fd, path, text, sizeof(text)))
		return 0;
	return strtoull(text, NULL, 10);
}

/* Last part of what a link points to. */
static bool sysfs_link_name(int dir_fd, const char *path, char *ret_name, size_t size)
{
	char target[1024];
	ssize_t n = readlinkat(dir_fd, path, target, sizeof(target) - 1);
	const char *slash;

	if (n < 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	sysfs_copy(ret_name, size, slash != NULL ? slash + 1 : target);
	return true;
}

/* SCSI: INQUIRY VPD page 0x80, 4 bytes of head, then the serial number (SPC-4 section 7.8.15). */
static void sysfs_read_scsi_serial(int dir_fd, char *ret_serial, size_t size)
{
	_cleanup_fd_ int fd = openat(dir_fd, "device/vpd_pg80", O_RDONLY | O_CLOEXEC);
	char page[SYSFS_TEXT + 4];
	ssize_t n;
	size_t len;

	if (fd < 0)
		return;
	n = fd_read_all(fd, page, sizeof(page));
	if (n <= 4)
		return;
	len = strnlen(page + 4, (size_t)n - 4);
	if (len >= size)
		len = size - 1;
	memcpy(ret_serial, page + 4, len);
	ret_serial[len] = '\0';
	sysfs_clean(ret_serial);
}

static void sysfs_read_scsi(int dir_fd, struct sysfs_device *device)
{
	char address[SYSFS_NAME];

	if (!sysfs_link_name(dir_fd, "device", address, sizeof(address)) || !hctl_is_valid(address))
		return;
	sysfs_copy(device->bus_address, sizeof(device->bus_address), address);
	sysfs_read_text(dir_fd, "device/rev", device->firmware, sizeof(device->firmware));
	sysfs_read_scsi_serial(dir_fd, device->serial, sizeof(device->serial));
}

/* `device` is the controller, or the subsystem where the kernel's own multipathing is on. */
static void sysfs_read_nvme(int dir_fd, struct sysfs_device *device)
{
	char transport[SYSFS_NAME], address[SYSFS_TEXT];

	if (!sysfs_read_text(dir_fd, "device/subsysnqn", device->nqn, sizeof(device->nqn)))
		return;
	device->type = SYSFS_NVME_NAMESPACE;
	sysfs_read_text(dir_fd, "device/firmware_rev", device->firmware, sizeof(device->firmware));
	if (!sysfs_read_text(dir_fd, "device/transport", transport, sizeof(transport)))
		return;
	sysfs_read_text(dir_fd, "device/address", address, sizeof(address));
	if (strcmp(transport, "pcie") == 0)
		snprintf(device->bus_address, sizeof(device->bus_address), "%.60s", address);
	snprintf(device->transport_address, sizeof(device->transport_address),
		 "transport=%s%s%.180s", transport, address[0] != '\0' ? " " : "", address);
	for (char *c = device->transport_address; *c != '\0'; c++) {
		if (*c == ',')
			*c = ' ';
	}
}

static void sysfs_add_link(struct sysfs_links *links, const char *name)
{
	if (name[0] == '\0' || links->n_names == SYSFS_MAX_LINKS)
		return;
	for (size_t i = 0; i < links->n_names; i++) {
		if (strcmp(links->names[i], name) == 0)
			return;
	}
	sysfs_copy(links->names[links->n_names++], SYSFS_TEXT, name);
}

static DIR *sysfs_open_dir(int dir_fd, const char *path)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir == NULL)
		fd_close(fd);
	return dir;
}

/* Names in holders/ or slaves/, each followed by its dm name. */
static void sysfs_read_links(int dir_fd, const char *folder, struct sysfs_links *links)
{
	DIR *dir = sysfs_open_dir(dir_fd, folder);
	const struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		char path[SYSFS_TEXT * 2], name[SYSFS_TEXT];

		if (entry->d_name[0] == '.')
			continue;
		sysfs_copy(name, sizeof(name), entry->d_name);
		sysfs_clean(name);
		sysfs_add_link(links, name);
		snprintf(path, sizeof(path), "%s/%s/dm/name", folder, entry->d_name);
		if (sysfs_read_text(dir_fd, path, name, sizeof(name)))
			sysfs_add_link(links, name);
	}
	closedir(dir);
}

/* An error names the whole disk, while maps often sit on its partitions. */
static void sysfs_read_partition_holders(int dir_fd, struct sysfs_device *device)
{
	DIR *dir = sysfs_open_dir(dir_fd, ".");
	size_t len = strlen(device->name);
	const struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		char path[SYSFS_TEXT * 2];

		if (strncmp(entry->d_name, device->name, len) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/holders", entry->d_name);
		sysfs_read_links(dir_fd, path, &device->holders);
	}
	closedir(dir);
}

static void sysfs_read_attributes(int dir_fd, struct sysfs_device *device)
{
	char backing[SYSFS_TEXT];

	sysfs_read_nvme(dir_fd, device);
	sysfs_read_scsi(dir_fd, device);
	if (!sysfs_read_text(dir_fd, "wwid", device->wwid, sizeof(device->wwid)))
		sysfs_read_text(dir_fd, "device/wwid", device->wwid, sizeof(device->wwid));
	if (device->serial[0] == '\0' &&
	    !sysfs_read_text(dir_fd, "serial", device->serial, sizeof(device->serial)))
		sysfs_read_text(dir_fd, "device/serial", device->serial, sizeof(device->serial));
	sysfs_read_text(dir_fd, "device/model", device->model, sizeof(device->model));
	sysfs_read_text(dir_fd, "device/vendor", device->vendor, sizeof(device->vendor));
	sysfs_read_text(dir_fd, "dm/name", device->dm_name, sizeof(device->dm_name));
	sysfs_read_text(dir_fd, "dm/uuid", device->uuid, sizeof(device->uuid));
	/* DM_UUID of dm-multipath maps: prefix "mpath-", set by multipath-tools
	 * (libmultipath/devmapper.h). */
	if (strncmp(device->uuid, "mpath-", 6) == 0)
		device->type = SYSFS_MULTIPATH_MAP;
	if (sysfs_read_text(dir_fd, "loop/backing_file", backing, sizeof(backing)))
		sysfs_add_link(&device->parents, backing);
	sysfs_read_links(dir_fd, "slaves", &device->parents);
	sysfs_read_links(dir_fd, "holders", &device->holders);
}

/* devices/.../block/sda/sda1 -> sda */
static void sysfs_add_parent_disk(struct sysfs_device *device)
{
	char path[SYSFS_TEXT], *slash;

	sysfs_copy(path, sizeof(path), device->path);
	slash = strrchr(path, '/');
	if (slash == NULL)
		return;
	*slash = '\0';
	slash = strrchr(path, '/');
	sysfs_add_link(&device->parents, slash != NULL ? slash + 1 : path);
}

/* A partition has the identity of its disk; the disk's folder is the one above. */
static void sysfs_read_partition(int dir_fd, const char *sysfs_path, struct sysfs_device *device)
{
	_cleanup_fd_ int disk_fd = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sysfs_device disk = { 0 };
	char text[SYSFS_NAME];

	if (disk_fd < 0 || !sysfs_read_text(disk_fd, "dev", text, sizeof(text)) ||
	    !sysfs_parse_devt(text, &disk.major, &disk.minor))
		return;
	sysfs_read_attributes(disk_fd, &disk);
	sysfs_make_id(&disk, NULL);
	device->type = SYSFS_PARTITION;
	device->diskseq = sysfs_read_number(disk_fd, "diskseq");
	memcpy(device->wwid, disk.wwid, sizeof(device->wwid));
	memcpy(device->serial, disk.serial, sizeof(device->serial));
	memcpy(device->model, disk.model, sizeof(device->model));
	memcpy(device->vendor, disk.vendor, sizeof(device->vendor));
	memcpy(device->firmware, disk.firmware, sizeof(device->firmware));
	memcpy(device->nqn, disk.nqn, sizeof(device->nqn));
	memcpy(device->transport_address, disk.transport_address,
	       sizeof(device->transport_address));
	memcpy(device->bus_address, disk.bus_address, sizeof(device->bus_address));
	sysfs_read_links(dir_fd, "holders", &device->holders);
	sysfs_add_parent_disk(device);
	sysfs_make_id(device, disk.id);
}

/* "../../devices/.../block/sda" -> path and name. */
static bool sysfs_set_path(struct sysfs_device *device, const char *target)
{
	const char *slash;

	while (strncmp(target, "../", 3) == 0)
		target += 3;
	slash = strrchr(target, '/');
	slash = slash != NULL ? slash + 1 : target;
	if (strlen(target) >= sizeof(device->path) || strlen(slash) >= sizeof(device->name))
		return false;
	sysfs_copy(device->path, sizeof(device->path), target);
	sysfs_copy(device->name, sizeof(device->name), slash);
	return true;
}

int sysfs_read_device(const char *sysfs_path, uint32_t major, uint32_t minor,
		      struct sysfs_device *ret_device)
{
	_cleanup_fd_ int fd = -1;
	char path[SYSFS_TEXT + 64], target[1024];
	ssize_t n;

	*ret_device = (struct sysfs_device){ .major = major, .minor = minor };
	snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sysfs_path, major, minor);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!sysfs_set_path(ret_device, target))
		return -ENAMETOOLONG;
	ret_device->partition = (uint32_t)sysfs_read_number(fd, "partition");
	if (ret_device->partition != 0) {
		sysfs_read_partition(fd, sysfs_path, ret_device);
		return 0;
	}
	ret_device->diskseq = sysfs_read_number(fd, "diskseq");
	sysfs_read_attributes(fd, ret_device);
	sysfs_read_partition_holders(fd, ret_device);
	sysfs_make_id(ret_device, NULL);
	return 0;
}

int sysfs_read_generation(const char *sysfs_path, uint32_t major, uint32_t minor,
			  uint64_t *ret_generation)
{
	char path[SYSFS_TEXT + 64], text[32];
	struct stat st;
	int r;

	snprintf(path, sizeof(path), "%s/dev/block/%u:%u/diskseq", sysfs_path, major, minor);
	r = file_read_line(AT_FDCWD, path, text, sizeof(text));
	if (r == 0) {
		*ret_generation = strtoull(text, NULL, 10);
		return 0;
	}
	/* A partition, or a kernel before 5.15: the number of the folder changes with the device.
	 */
	snprintf(path, sizeof(path), "%s/dev/block/%u:%u/", sysfs_path, major, minor);
	if (stat(path, &st) < 0)
		return -errno;
	*ret_generation = st.st_ino;
	return 0;
}

int sysfs_walk(const char *sysfs_path,
	       int (*visit)(void *data, const char *name, uint32_t major, uint32_t minor),
	       void *data)
{
	char path[SYSFS_TEXT + 64];
	const struct dirent *entry;
	size_t n_devices = 0;
	DIR *dir;
	int r = 0;

	snprintf(path, sizeof(path), "%s/class/block", sysfs_path);
	dir = sysfs_open_dir(AT_FDCWD, path);
	if (dir == NULL)
		return -errno;
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		char text[32], file[SYSFS_TEXT + 16];
		uint32_t major, minor;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/dev", entry->d_name);
		if (file_read_line(dirfd(dir), file, text, sizeof(text)) < 0 ||
		    !sysfs_parse_devt(text, &major, &minor))
			continue;
		r = ++n_devices > SYSFS_MAX_DEVICES ? -E2BIG
						    : visit(data, entry->d_name, major, minor);
	}
	closedir(dir);
	return r;
}
