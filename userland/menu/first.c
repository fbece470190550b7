// SPDX-License-Identifier: GPL-2.0-or-later
/* first: what the first screen says about this machine. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "first.h"
#include "host.h"
#include "language.h"
#include "storage.h"
#include "ui.h"
#include "util.h"

/* Of the machine itself, not of a bridge or tap that guests are on. */
static bool own_port(const struct ifaddrs *a)
{
	static const char *const others[] = { "virbr", "vnet", "tap", "macvtap" };

	if (!a->ifa_addr || (a->ifa_flags & IFF_LOOPBACK) || !(a->ifa_flags & IFF_UP))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (!strncmp(a->ifa_name, others[i], strlen(others[i])))
			return false;
	return true;
}

static bool address_text(const struct ifaddrs *a, int family, char *text, size_t size)
{
	const void *at = &((const struct sockaddr_in *)a->ifa_addr)->sin_addr;
	const struct sockaddr_in6 *in6 = (const void *)a->ifa_addr;

	if (!own_port(a) || a->ifa_addr->sa_family != family)
		return false;
	if (family == AF_INET6) {
		at = &in6->sin6_addr;
		if (IN6_IS_ADDR_LINKLOCAL(at))
			return false;
	}
	return inet_ntop(family, at, text, size);
}

/* IPv4 if there is any; two at most, more would not fit in a line. */
static char *addresses(void)
{
	char *text = xstrdup(""), one[INET6_ADDRSTRLEN];
	struct ifaddrs *list = NULL;
	int n = 0;

	if (getifaddrs(&list))
		return text;
	for (int i = 0; i < 2 && !n; i++)
		for (struct ifaddrs *a = list; a && n < 2; a = a->ifa_next) {
			char *more;

			if (!address_text(a, i ? AF_INET6 : AF_INET, one, sizeof(one)))
				continue;
			more = xasprintf("%s%s%s", text, n++ ? ", " : "", one);
			free(text);
			text = more;
		}
	freeifaddrs(list);
	return text;
}

char *first_text(void)
{
	char *storage = storage_summary(), *address = addresses(), *text;
	bool ready = host_kvm_ready(), kept = !storage_warning();

	text = xasprintf(_("%s Address: %s.\n%s\nNext: %s.\nWhat do you want to do?"),
			 ready ? _("Guests can run here.") : _("No guest can run here: see Host."),
			 *address ? address : _("none yet"), storage,
			 !ready ? _("choose Host to see what is missing") :
			 kept ? _("install a guest, or start one under Guests") :
			 _("make a data volume under Storage, or just install a guest"));
	free(storage);
	free(address);
	return text;
}
