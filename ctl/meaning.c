/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/meaning.h"

#include <ctype.h>
#include <json-c/json.h>

#include "ctl/registry.h"
#include "ctl/suggest.h"

/* A test compares the rows with the enumerations of the schema: none is missing. */

/* clang-format off */
const struct meaning meanings[] = {
	/* CommandRefusal */
	{ "bad_signature", "refusal", "a signature that names a trusted key does not fit the bytes: they were altered on the way",
	  "look at the aggregator: it carried something else than was signed" },
	{ "unknown_key", "refusal", "no key that this host trusts has signed",
	  "pathbell key list on the host; trust the key there: pathbell key authorize" },
	{ "key_revoked", "refusal", "the key that signed is revoked on this host",
	  "sign with another key: pathbell key new" },
	{ "signatures_missing", "refusal", "the host wants more signatures for this verb or this many hosts",
	  "--envelope-out FILE, then a second operator: pathbell command sign FILE" },
	{ "expired", "refusal", "the host heard of the command after its end",
	  "send it again, with a longer --expires where hosts are slow to come back" },
	{ "not_yet_valid", "refusal", "the command's time begins later, by the host's clock",
	  "compare the clocks of host and operator" },
	{ "clock", "refusal", "the host's clock is not to be trusted (not synchronised), so no expiry can be checked",
	  "start a time service on the host" },
	{ "not_for_this_host", "refusal", "the host is not among those that were signed",
	  "the aggregator sent it to the wrong place: look at it" },
	{ "replayed", "refusal", "the command's id was used before", "make a new command; an old envelope runs once" },
	{ "unknown_verb", "refusal", "the host's agent does not know the verb", "update the agent" },
	{ "unsupported", "refusal", "the host's kernel or agent cannot do this", "pathbell local collectors on the host says what it has" },
	{ "malformed", "refusal", "the command is not in the form that it must have", "the detail says what is missing" },
	{ "rate", "refusal", "too many commands for this host or this object in a short time", "wait, or raise the limits of its `commands` section" },
	{ "policy", "refusal", "the host does not allow the verb, or not for this key's role", "commands.verbs in pathbelld.yaml; role of the key: pathbell key list" },
	{ "precondition", "refusal", "the state of the target does not allow it now", "the detail says which; --dry-run asks without acting" },
	{ "last_path", "refusal", "the target would lose its last usable path", "bring another path back first; --override-last-path where the data is not needed" },
	{ "owned_by_other", "refusal", "another program holds the object (/run/nvme/registry)", "use that program, or stop it" },
	{ "excluded", "refusal", "exclusions.conf of the host forbids it", "look at /etc/nvme/exclusions.conf there" },
	{ "held", "refusal", "the host lost its journal of commands: it cannot know what it did already", "look at its state_dir, then restart the agent as its manual says" },
	{ "halted", "refusal", "the host was told to refuse everything (verb halt)", "pathbell command resume HOST" },
	{ "ambiguous_target", "refusal", "more than one thing on the host fits the name", "name it by its stable identity: NQN with address, map UUID, WWID" },
	{ "target_absent", "refusal", "nothing on the host fits the target", "pathbell events --host HOST shows what it has told" },
	{ "target_recycled", "refusal", "the name or number belongs to another device now", "look again, and name it by its stable identity" },
	{ "busy", "refusal", "the host carries out another command", "wait for it: pathbell commands --host HOST" },
	/* CommandLife */
	{ "QUEUED", "life", "stored by the aggregator; the host has not been there yet", "" },
	{ "DISPATCHED", "life", "sent to the host, no receipt yet", "" },
	{ "RECEIVED", "life", "in the host's journal", "" },
	{ "REJECTED", "life", "the host refused it; nothing was done", "the word in parentheses says why: pathbell explain WORD" },
	{ "ACCEPTED", "life", "signature, target, time and rules are in order", "" },
	{ "STARTED", "life", "it is being done; this was written down before it began", "" },
	{ "SUCCEEDED", "life", "done, and the effect was seen", "" },
	{ "INEFFECTIVE", "life", "done, but the effect that was wanted did not show in time", "the detail tells the state; the cause is likely elsewhere: link, target, ACL" },
	{ "WORSE", "life", "done, and the state is worse than before", "look at the host before anything else is sent" },
	{ "FAILED", "life", "it could not be done", "the detail has the kernel's answer" },
	{ "TIMED_OUT", "life", "no end within its time; the kernel may still be at it", "--action-timeout; look at the host's state" },
	{ "INDETERMINATE", "life", "the agent stopped between start and end; it looks at the real state now and never runs it again", "wait for command.resolved" },
	{ "CANCELLED", "life", "withdrawn before the host received it", "" },
	{ "EXPIRED", "life", "its time ended before the host received it", "send it again" },
	/* CampaignState */
	{ "RUNNING", "campaign", "hosts are taken as waves and caps allow", "" },
	{ "PAUSED", "campaign", "an operator paused it; what was under way goes on", "pathbell campaign resume ID" },
	{ "STOPPED", "campaign", "it stopped itself: more failures than the budget, a storm of faults, or hosts that fell silent",
	  "look at the failures, then: pathbell campaign resume ID, or halt ID" },
	{ "HALTED", "campaign", "an operator ended it for good", "" },
	{ "FINISHED", "campaign", "every host has an end", "" },
	/* kinds of events about commands */
	{ "command.received", "kind", "a host has the command in its journal", "" },
	{ "command.refused", "kind", "a host refused a command or an attempt at one", "one that nobody sent is an attack: look at the aggregator" },
	{ "command.accepted", "kind", "a host will carry the command out", "" },
	{ "command.started", "kind", "a host begins", "" },
	{ "command.finished", "kind", "a host has ended, in one of the final states", "" },
	{ "command.expired", "kind", "the command's time ended on the host", "" },
	{ "command.indeterminate", "kind", "the agent stopped in the middle of a command", "command.resolved follows" },
	{ "command.resolved", "kind", "what an indeterminate command did, found out by looking", "" },
	{ "command.cancelled", "kind", "a command was withdrawn", "" },
	{ "command.held", "kind", "a host executes nothing: its journal is lost", "see: pathbell explain held" },
	{ "command.output", "kind", "a part of what a command returned (diag)", "" },
	{ "command.halted", "kind", "a host refuses everything but resume", "pathbell command resume HOST" },
	{ "command.resumed", "kind", "a host accepts commands again", "" },
	{ "command.keys_changed", "kind", "a host read its trusted and revoked keys anew", "nobody changed them? Look at /etc/pathbell/keys.d there" },
};
/* clang-format on */
const size_t meanings_n = sizeof(meanings) / sizeof(meanings[0]);

static int meaning_letter(char c)
{
	return c == '-' ? '_' : tolower((unsigned char)c);
}

const struct meaning *meaning_find(const char *word)
{
	for (size_t i = 0; i < meanings_n; i++) {
		const char *a = meanings[i].word;
		const char *b = word;

		while (*a && meaning_letter(*a) == meaning_letter(*b))
			a++, b++;
		if (!*a && !*b)
			return &meanings[i];
	}
	return NULL;
}

static int meaning_show(struct cli *cli, const struct meaning *meaning)
{
	struct json_object *object;

	if (!cli->out.json) {
		output_line(&cli->out, "%s (%s): %s", meaning->word, meaning->group, meaning->text);
		if (*meaning->what_to_do)
			output_line(&cli->out, "  %s", meaning->what_to_do);
		return CLI_OK;
	}
	object = json_object_new_object();
	json_object_object_add(object, "word", json_object_new_string(meaning->word));
	json_object_object_add(object, "group", json_object_new_string(meaning->group));
	json_object_object_add(object, "text", json_object_new_string(meaning->text));
	json_object_object_add(object, "what_to_do", json_object_new_string(meaning->what_to_do));
	return output_json(&cli->out, object) == 0 ? CLI_OK : CLI_FAILED;
}

static int explain_unknown(const char *word)
{
	const char *words[128];
	const char *near;
	size_t n = 0;

	for (; n < meanings_n && n < 128; n++)
		words[n] = meanings[n].word;
	near = suggest_nearest(word, words, n);
	if (near)
		return cli_fail(CLI_NOT_FOUND, "nothing is known of '%s'; did you mean %s?", word,
				near);
	return cli_fail(CLI_NOT_FOUND, "nothing is known of '%s'; pathbell explain lists all words",
			word);
}

static int explain_run(struct cli *cli)
{
	int code = CLI_OK;

	for (size_t i = 0; cli->n_operands == 0 && code == CLI_OK && i < meanings_n; i++)
		code = meaning_show(cli, &meanings[i]);
	for (int i = 0; code == CLI_OK && i < cli->n_operands; i++) {
		const struct meaning *meaning = meaning_find(cli->operands[i]);

		code = meaning ? meaning_show(cli, meaning) : explain_unknown(cli->operands[i]);
	}
	return code;
}

const struct cli_command explain_command = {
	.path = "explain",
	.summary = "Say what a refusal, a state or a kind of event about commands means",
	.operands = "[WORD]...",
	.max_operands = CLI_ANY_NUMBER,
	.run = explain_run,
};
