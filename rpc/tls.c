/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "rpc/internal.h"

/*
 * The C core has no setter for the lowest TLS version, but every SSL_CTX takes the system_default
 * section of OpenSSL's configuration. `Protocol`, because gRPC overwrites MinProtocol; without
 * session tickets a handshake costs the server a third less (grpc-core 0.11 and 3.1).
 */
static const char tls_config[] = "openssl_conf = pathbell\n"
				 "[pathbell]\n"
				 "ssl_conf = pathbell_ssl\n"
				 "[pathbell_ssl]\n"
				 "system_default = pathbell_tls\n"
				 "[pathbell_tls]\n"
				 "Protocol = -TLSv1,-TLSv1.1,-TLSv1.2\n"
				 "NumTickets = 0\n";

int rpc_tls_configure(struct errmsg *err)
{
	BIO *text = NULL;
	CONF *conf = NULL;
	long line = 0;
	int r = -ENOMEM;

	/* First of all: no file, so that nothing is loaded over ours later. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		goto out;
	OPENSSL_load_builtin_modules();
	text = BIO_new_mem_buf(tls_config, sizeof(tls_config) - 1);
	conf = NCONF_new(NULL);
	if (!text || !conf)
		goto out;
	if (NCONF_load_bio(conf, text, &line) == 1 && CONF_modules_load(conf, NULL, 0) == 1)
		r = 0;
	else
		r = -EINVAL;
out:
	if (r < 0)
		errmsg_set(err, "cannot restrict OpenSSL to TLS 1.3: %s",
			   ERR_reason_error_string(ERR_peek_last_error()));
	NCONF_free(conf);
	BIO_free(text);
	return r;
}
