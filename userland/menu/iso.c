// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iso: is this file a whole, bootable CD or DVD image, or a disk to start from?
 *
 * An ISO 9660 image has volume descriptors of 2048 bytes from sector 16 on, each
 * with the mark "CD001". The primary one (type 1) says how long the volume is:
 * a shorter file is a broken download. A boot record (type 0) by the El Torito
 * standard makes it bootable. The list ends with type 255. (ECMA-119 chapter 8;
 * El Torito 1.0 figure 7.) Installers of Windows keep their files in a UDF volume
 * beside an ISO 9660 one of a few sectors; its anchor in sector 256 leads to the
 * partition, whose end the file must reach. (ECMA-167 3/10.2 and 3/10.5.)
 *
 * Disks come as qcow2 (QEMU's docs/interop/qcow2.rst) or raw, with the mark of a
 * boot sector. What they are is read here and told to QEMU, which so never guesses:
 * a raw disk could otherwise pose as a qcow2 one that lies on top of any file of
 * this host.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iso.h"
#include "language.h"
#include "util.h"

#define SECTOR		2048
#define FIRST_DESCRIPTOR 16
#define LAST_DESCRIPTOR	64	/* real images have fewer than ten */
#define UDF_ANCHOR	256
#define ISO_DIR		"/var/lib/kvm-live/iso"

static char *open_problem(const char *path, int error, struct iso_info *info)
{
	info->no_disc = error == ENOMEDIUM;
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return xasprintf(_("There is no file %s. Check the path, or copy the image into %s and choose it from the list."),
				 path, ISO_DIR);
	case EACCES:
	case EPERM:
		return xasprintf(_("You may not read %s. Start kvm-menu as root, or copy the image into %s."),
				 path, ISO_DIR);
	case ENOMEDIUM:
		return xasprintf(_("There is no disc in the drive %s. Insert one and try again."), path);
	case EIO:
		return xasprintf(_("%s cannot be read: input/output error. Its disc or disk is damaged or was pulled out. Try another drive, or copy the image again."), path);
	default:
		return xasprintf(_("%s cannot be opened: %s. Choose another image."),
				 path, strerror(error));
	}
}

static char *size_of(int fd, const char *path, struct iso_info *info)
{
	struct stat st;

	if (fstat(fd, &st))
		return open_problem(path, errno, info);
	if (S_ISDIR(st.st_mode))
		return xasprintf(_("%s is a folder. Type the path of an ISO image in it."),
				 path);
	info->block = S_ISBLK(st.st_mode);
	if (info->block) {
		if (ioctl(fd, BLKGETSIZE64, &info->size))
			return open_problem(path, errno, info);
	} else if (S_ISREG(st.st_mode)) {
		info->size = st.st_size;
	} else {
		return xasprintf(_("%s is neither a file nor a CD drive. Choose an ISO image."),
				 path);
	}
	if (!info->size)
		return xasprintf(_("%s is empty. Download or copy the image again."),
				 path);
	return NULL;
}

static uint32_t le32(const unsigned char *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void read_primary(const unsigned char *d, struct iso_info *info)
{
	unsigned int block = d[128] | d[129] << 8;

	info->volume_size = (uint64_t)le32(d + 80) * (block ? block : SECTOR);
	memcpy(info->label, d + 40, 32);
	info->label[32] = '\0';
	ascii_only(trim(info->label));
}

/* False: it is not there, with errno 0, or cannot be read. */
static bool read_sector(int fd, uint32_t sector, unsigned char *d)
{
	errno = 0;
	return pread(fd, d, SECTOR, (off_t)sector * SECTOR) == SECTOR;
}

/* Returns false when there is no primary volume descriptor. */
static bool read_descriptors(int fd, struct iso_info *info)
{
	unsigned char d[SECTOR];
	bool primary = false;

	for (int i = FIRST_DESCRIPTOR; i < LAST_DESCRIPTOR; i++) {
		if (!read_sector(fd, i, d))
			break;
		if (memcmp(d + 1, "CD001", 5) || d[0] == 255)
			break;
		if (d[0] == 1 && !primary) {
			read_primary(d, info);
			primary = true;
		} else if (d[0] == 0 &&
			   !memcmp(d + 7, "EL TORITO SPECIFICATION", 23)) {
			info->bootable = true;
		}
	}
	return primary;
}

/* A descriptor of UDF starts with its kind, in 16 bits, and a sum of the tag. */
static bool is_udf(const unsigned char *d, int kind)
{
	unsigned char sum = 0;

	for (int i = 0; i < 16; i++)
		sum += i == 4 ? 0 : d[i];
	return (d[0] | d[1] << 8) == kind && sum == d[4];
}

/* If there is a UDF volume, its partition may end later than the ISO 9660 one. */
static void read_udf(int fd, struct iso_info *info)
{
	unsigned char d[SECTOR];
	uint32_t at, n;

	if (!read_sector(fd, UDF_ANCHOR, d) || !is_udf(d, 2))
		return;
	n = le32(d + 16) / SECTOR;
	at = le32(d + 20);
	for (uint32_t i = 0; i < n && i < LAST_DESCRIPTOR; i++) {
		uint64_t end;

		if (!read_sector(fd, at + i, d))
			return;
		end = ((uint64_t)le32(d + 188) + le32(d + 192)) * SECTOR;
		if (is_udf(d, 5) && end > info->volume_size)
			info->volume_size = end;
	}
}

static uint64_t be(const unsigned char *p, int bytes)
{
	uint64_t n = 0;

	while (bytes--)
		n = n << 8 | *p++;
	return n;
}

static char *qcow2_problem(const unsigned char *d, const char *path)
{
	uint64_t version = be(d + 4, 4);

	if (version != 2 && version != 3)
		return xasprintf(_("%s is a disk image of a version that is not known. Convert it with qemu-img to qcow2."),
				 path);
	if (be(d + 8, 8) || (version == 3 && be(d + 72, 8) & 4))
		return xasprintf(_("%s is only a part of a disk image: the rest is in another file. Get the whole image."),
				 path);
	return be(d + 32, 4) ? xasprintf(_("%s is an encrypted disk image. Decrypt it with qemu-img first."),
					 path) : NULL;
}

/* Sets info->disk, if it is one. */
static char *read_disk(int fd, const char *path, struct iso_info *info)
{
	static const struct { const char *magic; int n; } packed[] = {
		{ "\x1f\x8b", 2 }, { "\xfd" "7zXZ", 5 }, { "BZh", 3 }, { "PK\3\4", 4 },
		{ "\x28\xb5\x2f\xfd", 4 } };
	unsigned char d[512];

	if (pread(fd, d, sizeof(d), 0) != sizeof(d))
		return NULL;
	if (!memcmp(d, "QFI\xfb", 4)) {
		info->disk = "qcow2";
		info->volume_size = be(d + 24, 8);
		return qcow2_problem(d, path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(packed); i++)
		if (!memcmp(d, packed[i].magic, packed[i].n))
			return xasprintf(_("%s is compressed. Unpack it first, in a shell (gunzip, unxz, bunzip2, unzstd), and choose what comes out."),
					 path);
	if (d[510] == 0x55 && d[511] == 0xaa && !info->block) {
		info->disk = "raw";
		info->volume_size = info->size;
	}
	return NULL;
}

static char *content_problem(int fd, const char *path, struct iso_info *info,
			     bool disks)
{
	bool primary = read_descriptors(fd, info);
	char *problem;

	if (!primary && errno)
		return open_problem(path, errno, info);
	if (primary)
		read_udf(fd, info);
	if (!primary && disks) {
		problem = read_disk(fd, path, info);
		if (problem || info->disk)
			return problem;
		return xasprintf(_("%s is neither an ISO image nor a disk image (qcow2 or raw) with a boot sector. If it came by download, download it again."),
				 path);
	}
	if (!primary)
		return xasprintf(_("%s is not an ISO image: it has no ISO 9660 volume descriptor. Choose the .iso file of an installer; if it came by download, download it again."),
				 path);
	info->truncated = info->size < info->volume_size;
	if (info->truncated)
		return xasprintf(_("%s is truncated: it should have %llu bytes and has %llu. Download or copy it again."),
				 path, (unsigned long long)info->volume_size,
				 (unsigned long long)info->size);
	return NULL;
}

/* May the path stand in libvirt's XML: UTF-8 without control characters? */
static bool path_is_text(const char *path)
{
	for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
		int more = *p < 0x80 ? 0 : (*p & 0xe0) == 0xc0 ? 1 :
			(*p & 0xf0) == 0xe0 ? 2 : (*p & 0xf8) == 0xf0 ? 3 : -1;

		if (*p < ' ' || *p == 0x7f || more < 0)
			return false;
		while (more--)
			if ((*++p & 0xc0) != 0x80)
				return false;
	}
	return true;
}

static char *find_problem(const char *path, struct iso_info *info, bool disks)
{
	char *problem;
	int fd;

	memset(info, 0, sizeof(*info));
	if (!*path)
		return xstrdup(_("No ISO is chosen. Choose one from the list or type its path."));
	if (*path != '/')
		return xasprintf(_("%s is not a full path. Type it from the root, for example %s/%s."),
				 path, ISO_DIR, path);
	if (!path_is_text(path))
		return xasprintf(_("The name %s has characters that libvirt does not take. Rename the file, with letters and digits."),
				 path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return open_problem(path, errno, info);
	problem = size_of(fd, path, info);
	if (!problem)
		problem = content_problem(fd, path, info, disks);
	close(fd);
	return problem;
}

char *iso_problem(const char *path, struct iso_info *info)
{
	return find_problem(path, info, false);
}

char *image_problem(const char *path, struct iso_info *info)
{
	return find_problem(path, info, true);
}

/* In a child that took on the user's identity: may it read, enter…? */
static bool may(const struct passwd *pw, const char *path, int how)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return true;
	if (!pid) {
		if (initgroups(pw->pw_name, pw->pw_gid) ||
		    setgid(pw->pw_gid) || setuid(pw->pw_uid))
			_exit(0);
		_exit(access(path, how) && errno == EACCES);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return true;
	return !(WIFEXITED(status) && WEXITSTATUS(status));
}

/* The first folder of path that the user cannot enter; to be freed. */
static char *closed_folder(const struct passwd *pw, const char *path)
{
	char *part = xstrdup(path);

	for (char *p = strchr(part + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (!may(pw, part, X_OK))
			return part;
		*p = '/';
	}
	free(part);
	return NULL;
}

char *iso_reach_problem(const char *path, bool *relabel)
{
	const struct passwd *pw = getpwnam("libvirt-qemu");
	char *folder, *text;

	*relabel = false;
	if (geteuid() || !pw || may(pw, path, R_OK))
		return NULL;
	folder = closed_folder(pw, path);
	if (!folder) {
		*relabel = true;
		return NULL;
	}
	text = xasprintf(_("Guests run as the user libvirt-qemu, who may not enter the folder %s. Move the image to %s and choose it there."),
			 folder, ISO_DIR);
	free(folder);
	return text;
}
