/*
 * The floor of the chain: what the kernel's own work costs when nothing but it is done.
 *
 * The same state as every other variant (see chain.py), in the cheapest way known: one thread, one rtnetlink socket
 * per namespace, one send per wire and one per node, sysctls written while the new namespace is the current one. The
 * messages say what ip(8) says, but with QUEUES = 1 wires are asked for with as many queues as they use: left to
 * itself the kernel gives them one per processor, turns all but one off again, and waits for that twice per wire.
 *
 * usage: floor NODES [QUEUES]     talks in lines: "ready", then after each line read: the namespaces' descriptors; "stopped".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LO = 1, OURS = 201, FIRST_INDEX = 1000 };

struct batch {
	char data[8192];
	unsigned length, count;
	struct nlmsghdr *last;
};

static int *namespaces, *sockets;
static unsigned queues; /* of each end of a wire; 0: as the kernel likes */

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void put(struct batch *b, const void *data, unsigned length)
{
	memset(b->data + b->length, 0, NLMSG_ALIGN(length));
	if (length)
		memcpy(b->data + b->length, data, length);
	b->length += NLMSG_ALIGN(length);
}

static void begin(struct batch *b, int type, int flags, const void *head, unsigned length)
{
	struct nlmsghdr header = { .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++b->count };

	b->last = (struct nlmsghdr *)(b->data + b->length);
	put(b, &header, sizeof header);
	put(b, head, length);
}

static struct rtattr *attribute(struct batch *b, int type, const void *data, unsigned length)
{
	struct rtattr header = { .rta_type = type, .rta_len = RTA_LENGTH(length) };
	struct rtattr *there = (struct rtattr *)(b->data + b->length);

	put(b, &header, sizeof header);
	put(b, data, length);
	return there;
}

static void end_nest(struct batch *b, struct rtattr *nest) { nest->rta_len = b->data + b->length - (char *)nest; }

static void end(struct batch *b) { b->last->nlmsg_len = b->data + b->length - (char *)b->last; }

/* Only the last message asks for an answer; a refusal comes in any case. */
static void flush(struct batch *b, int socket)
{
	char answer[4096];

	b->last->nlmsg_flags |= NLM_F_ACK;
	if (send(socket, b->data, b->length, 0) < 0)
		fail("send");
	for (;;) {
		if (recv(socket, answer, sizeof answer, 0) < 0)
			fail("recv");
		struct nlmsghdr *header = (struct nlmsghdr *)answer;
		struct nlmsgerr *error = NLMSG_DATA(header);

		if (error->error) {
			fprintf(stderr, "netlink message %u: %s\n", header->nlmsg_seq, strerror(-error->error));
			exit(1);
		}
		if (header->nlmsg_seq == b->count)
			return;
	}
}

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, value, 1) != 1)
		fail(path);
	close(fd);
}

/* Index of node i's port towards its left (0) or right (1) neighbour: never the same at both ends of a wire. */
static int port(int node, int right) { return FIRST_INDEX + 2 * node + right; }

static unsigned address(int family, unsigned char *to, unsigned number)
{
	unsigned value = htonl(family == AF_INET ? 0x0a000000u + number : number);

	memset(to, 0, 16);
	if (family == AF_INET) {
		memcpy(to, &value, 4);
		return 4;
	}
	to[0] = 0xfd;
	memcpy(to + 12, &value, 4);
	return 16;
}

/* The first (1) or last (2) node's loopback. */
static unsigned loopback(int family, unsigned char *to, int which)
{
	unsigned length = address(family, to, which);

	if (family == AF_INET)
		memcpy(to, (unsigned char[]){ 192, 168, 0, which }, 4);
	else
		to[1] = 1;
	return length;
}

static void add_address(struct batch *b, int index, int family, const unsigned char *a, unsigned length, int prefix)
{
	struct ifaddrmsg head = { .ifa_family = family, .ifa_prefixlen = prefix, .ifa_index = index };

	head.ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;
	begin(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
	attribute(b, IFA_LOCAL, a, length);
	attribute(b, IFA_ADDRESS, a, length);
	end(b);
}

static void add_route(struct batch *b, int family, int to, unsigned gateway, int index)
{
	unsigned char data[16];
	unsigned length = loopback(family, data, to);
	struct rtmsg head = { .rtm_family = family, .rtm_dst_len = length * 8, .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = OURS, .rtm_type = RTN_UNICAST };

	begin(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
	attribute(b, RTA_DST, data, length);
	attribute(b, RTA_GATEWAY, data, address(family, data, gateway));
	attribute(b, RTA_OIF, &index, sizeof index);
	end(b);
}

static void add_up(struct batch *b, int index)
{
	struct ifinfomsg head = { .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };

	begin(b, RTM_NEWLINK, 0, &head, sizeof head);
	end(b);
}

static void make_namespace(int node)
{
	if (unshare(CLONE_NEWNET))
		fail("unshare");
	namespaces[node] = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	sockets[node] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (namespaces[node] < 0 || sockets[node] < 0)
		fail("namespace");
	set("/proc/sys/net/ipv6/conf/all/accept_dad", "0");
	set("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
	set("/proc/sys/net/ipv4/ip_forward", "1");
	set("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	set("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
	set("/proc/sys/net/ipv4/conf/default/rp_filter", "0"); /* ports made later copy it */
}

static void add_queues(struct batch *b)
{
	if (queues) {
		attribute(b, IFLA_NUM_TX_QUEUES, &queues, sizeof queues);
		attribute(b, IFLA_NUM_RX_QUEUES, &queues, sizeof queues);
	}
}

static void make_wire(int node)
{
	struct batch b = { .length = 0 };
	struct ifinfomsg ours = { .ifi_index = port(node, 1) }, theirs = { .ifi_index = port(node + 1, 0) };

	begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ours, sizeof ours);
	attribute(&b, IFLA_IFNAME, "e1", 3);
	add_queues(&b);
	struct rtattr *info = attribute(&b, IFLA_LINKINFO, 0, 0);
	attribute(&b, IFLA_INFO_KIND, "veth", 5);
	struct rtattr *data = attribute(&b, IFLA_INFO_DATA, 0, 0);
	struct rtattr *peer = attribute(&b, VETH_INFO_PEER, &theirs, sizeof theirs);
	attribute(&b, IFLA_IFNAME, "e0", 3);
	add_queues(&b);
	attribute(&b, IFLA_NET_NS_FD, &namespaces[node + 1], sizeof(int));
	end_nest(&b, peer);
	end_nest(&b, data);
	end_nest(&b, info);
	end(&b);
	flush(&b, sockets[node]);
}

static void configure(int node, int nodes)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct batch b = { .length = 0 };
	unsigned char a[16];
	int left = node > 0, right = node < nodes - 1;

	add_up(&b, LO);
	if (left)
		add_up(&b, port(node, 0));
	if (right)
		add_up(&b, port(node, 1));
	for (int i = 0; i < 2; i++) {
		int family = families[i], prefix = family == AF_INET ? 31 : 127;

		if (!left || !right)
			add_address(&b, LO, family, a, loopback(family, a, left ? 2 : 1), prefix + 1);
		if (left)
			add_address(&b, port(node, 0), family, a, address(family, a, 2 * node - 1), prefix);
		if (right)
			add_address(&b, port(node, 1), family, a, address(family, a, 2 * node), prefix);
		if (left)
			add_route(&b, family, 1, 2 * node - 2, port(node, 0));
		if (right)
			add_route(&b, family, 2, 2 * node + 1, port(node, 1));
	}
	flush(&b, sockets[node]);
}

static void await_line(void)
{
	char line[16];

	fflush(stdout);
	if (!fgets(line, sizeof line, stdin))
		exit(0);
}

int main(int count, char **words)
{
	int nodes = count > 1 ? atoi(words[1]) : 2;
	struct rlimit limit;

	queues = count > 2 ? atoi(words[2]) : 0;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	namespaces = calloc(nodes, sizeof(int));
	sockets = calloc(nodes, sizeof(int));
	puts("ready");
	await_line();
	for (int node = 0; node < nodes; node++)
		make_namespace(node);
	for (int node = 0; node < nodes - 1; node++)
		make_wire(node);
	for (int node = 0; node < nodes; node++)
		configure(node, nodes);
	for (int node = 0; node < nodes; node++)
		printf("%d ", namespaces[node]);
	puts("");
	await_line();
	for (int node = 0; node < nodes; node++) {
		close(sockets[node]);
		close(namespaces[node]);
	}
	puts("stopped");
	await_line();
	return 0;
}
