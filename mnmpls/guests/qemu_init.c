/* First process of the QEMU guest, alone in its initramfs (mnmpls/guests/qemu.py builds that): loads the modules that
   lie in /modules, in the order of their names, puts the host's tree in the initramfs' place, read-only over 9p, and
   becomes argv[1] there with its arguments. Static and without fork: an emulated CPU pays for every process. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The end of the first process panics the kernel, whose message the host looks for: so say why before. */
static void fail(const char *what)
{
	fprintf(stderr, "mnmpls: initramfs: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void load_modules(void)
{
	struct dirent **entries;
	int count = scandir(".", &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] == '.')
			continue;
		int fd = open(entries[i]->d_name, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
			fail(entries[i]->d_name);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	if (argc < 2 || chdir("/modules"))
		fail("no command or no /modules");
	load_modules();
	if (mount("root", "/root", "9p", MS_RDONLY, "trans=virtio,version=9p2000.L,msize=512000,cache=loose"))
		fail("mount the host's tree");
	/* As switch_root(8): the mount moved over the initramfs has a parent, so that pivot_root(2) works later. */
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		fail("change to the host's tree");
	execv(argv[1], argv + 1);
	fail(argv[1]);
}
