/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cloud: what a new system is told at its first start: its name and the login. Only
 * text goes in and out, so it is tested by itself.
 */
#ifndef KVM_MENU_CLOUD_H
#define KVM_MENU_CLOUD_H

#include <stdbool.h>

struct login {
	char *user, *host;
	bool host_typed;	/* else it follows the guest's name */
	char *password, *key;	/* "": none; key: a line as in authorized_keys */
};

/* A sentence that says what is wrong and what to type, or NULL. */
const char *login_user_problem(const char *user);
const char *login_host_problem(const char *host);
const char *login_password_problem(const char *password);
const char *login_key_problem(const char *key);
/* The guest's name, as far as it can be a host name; to be freed. */
char *login_host(const char *guest);
/*
 * The user-data of cloud-init, to be freed. hash: of the password, as in
 * /etc/shadow, or "".
 */
char *cloud_user_data(const struct login *l, const char *hash);

#endif
