/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>

#include "ctl/cli.h"
#include "ctl/registry.h"

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, "");
	return cli_main(registry_commands, argc, argv);
}
