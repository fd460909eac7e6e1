/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/cxl/memdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/file.h"

#define MEMDEV_FOLDER "bus/cxl/devices"
#define MEMDEV_SECTOR 512

static int memdev_compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

int memdev_list(const char *sysfs_path, struct memdev_list *ret_list)
{
	const struct dirent *entry;
	char path[PATH_MAX];
	DIR *dir;

	ret_list->n = ret_list->n_left_out = 0;
	snprintf(path, sizeof(path), "%s/" MEMDEV_FOLDER, sysfs_path);
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir)) != NULL) {
		uint32_t number;
		int end = 0;

		if (sscanf(entry->d_name, "mem%" SCNu32 "%n", &number, &end) != 1 ||
		    entry->d_name[end] != '\0')
			continue;
		if (ret_list->n == MEMDEV_MAX)
			ret_list->n_left_out++;
		else
			ret_list->numbers[ret_list->n++] = number;
	}
	closedir(dir);
	qsort(ret_list->numbers, ret_list->n, sizeof(ret_list->numbers[0]), memdev_compare);
	return 0;
}

static void memdev_clean(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

static bool memdev_line(int dir_fd, const char *path, char *text, size_t size)
{
	if (file_read_line(dir_fd, path, text, size) < 0) {
		text[0] = '\0';
		return false;
	}
	memdev_clean(text);
	return true;
}

static bool memdev_number(int dir_fd, const char *path, uint64_t *ret_value)
{
	char text[32], *end;

	if (!memdev_line(dir_fd, path, text, sizeof(text)))
		return false;
	*ret_value = strtoull(text, &end, 0);
	return end != text && *end == '\0';
}

static void memdev_attribute(struct memdev *memdev, int dir_fd, const char *path, const char *key)
{
	Pathbell__V1__Attribute *attribute = &memdev->attributes[memdev->n_extra];
	char *value = memdev->values[memdev->n_extra];

	if (memdev->n_extra == MEMDEV_MAX_EXTRA ||
	    !memdev_line(dir_fd, path, value, sizeof(memdev->values[0])))
		return;
	*attribute = (Pathbell__V1__Attribute)PATHBELL__V1__ATTRIBUTE__INIT;
	attribute->key = (char *)key;
	attribute->value = value;
	memdev->extra[memdev->n_extra++] = attribute;
}

/* The link leads to .../0000:0c:00.0/mem0: what stands before the last part is the PCI device. */
static void memdev_address(struct memdev *memdev, const char *link)
{
	char target[PATH_MAX], *slash;
	ssize_t n = readlink(link, target, sizeof(target) - 1);

	memdev->address[0] = '\0';
	if (n <= 0)
		return;
	target[n] = '\0';
	slash = strrchr(target, '/');
	if (slash == NULL)
		return;
	*slash = '\0';
	slash = strrchr(target, '/');
	snprintf(memdev->address, sizeof(memdev->address), "%.63s", slash ? slash + 1 : target);
	memdev_clean(memdev->address);
}

static void memdev_fill_state(struct memdev *memdev, int dir_fd)
{
	uint64_t ram = 0, pmem = 0;

	pathbell__v1__device_state__init(&memdev->state);
	(void)memdev_number(dir_fd, "ram/size", &ram);
	(void)memdev_number(dir_fd, "pmem/size", &pmem);
	memdev->state.present = true;
	memdev->state.size_sectors = (ram + pmem) / MEMDEV_SECTOR;
	(void)memdev_line(dir_fd, "security/state", memdev->security, sizeof(memdev->security));
	memdev->state.state = memdev->security;
	memdev->n_extra = 0;
	memdev_attribute(memdev, dir_fd, "ram/size", "ram.size");
	memdev_attribute(memdev, dir_fd, "pmem/size", "pmem.size");
	memdev_attribute(memdev, dir_fd, "numa_node", "numa_node");
	memdev_attribute(memdev, dir_fd, "payload_max", "payload_max");
	memdev_attribute(memdev, dir_fd, "label_storage_size", "label_storage_size");
}

static void memdev_fill_subject(struct memdev *memdev, int dir_fd)
{
	Pathbell__V1__Subject *subject = &memdev->subject;
	uint64_t serial = 0;

	pathbell__v1__subject__init(subject);
	subject->type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_CXL_MEMDEV;
	subject->name = memdev->name;
	subject->id = memdev->id;
	subject->bus_address = memdev->address;
	subject->firmware = memdev->firmware;
	subject->serial = memdev->serial;
	(void)memdev_line(dir_fd, "firmware_version", memdev->firmware, sizeof(memdev->firmware));
	memdev->serial[0] = '\0';
	snprintf(memdev->id, sizeof(memdev->id), "memdev:%s", memdev->name);
	if (!memdev_number(dir_fd, "serial", &serial) || serial == UINT64_MAX)
		return;
	snprintf(memdev->serial, sizeof(memdev->serial), "%" PRIx64, serial);
	snprintf(memdev->id, sizeof(memdev->id), "serial:%s", memdev->serial);
}

int memdev_read(const char *sysfs_path, uint32_t number, struct memdev *ret_memdev)
{
	_cleanup_fd_ int fd = -1;
	char path[PATH_MAX];

	snprintf(ret_memdev->name, sizeof(ret_memdev->name), "mem%" PRIu32, number);
	snprintf(path, sizeof(path), "%s/" MEMDEV_FOLDER "/%s", sysfs_path, ret_memdev->name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	memdev_address(ret_memdev, path);
	memdev_fill_subject(ret_memdev, fd);
	memdev_fill_state(ret_memdev, fd);
	return 0;
}
