"""The catalogue of rules: every rule id that the program can report, with a sentence, the next step and its source.

`docs/rules.md` is written from `PAGE` (`make docs-rules`): a heading names the part of the program that reports the
rules under it, and a line holds one rule. SARIF, the check of the owners' own rule ids, and outputs without names read
the same entries.
"""

from __future__ import annotations

import re
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import FORMERLY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

THE_FILE = "The file"
_ENTRY = re.compile(
    r"^- \*\*`(?P<code>[a-z0-9-]+)`\*\* (?:\(formerly `(?P<former>[a-z0-9-]+)`\) )?(?P<sentence>.+?) \*Next:\* (?P<step>.+)$"
)

_PAGE = """\
# Rules

Every message carries the id of a rule, in text as in JSON, SARIF and annotations. Here each has one sentence and the
next step. The ids under `policy.rules` are your own and are not listed. A rule that had another id names it as its
former one; SARIF has that under `deprecatedIds`, JSON under `formerly`, and no rule of yours may take it.

## The file

`siteward validate` finds these without a server, all but the last five of the grants, which need to see the sites.

### Files

- **`unreadable`** A file that is named must be there and readable. *Next:* check the path and who may read the file.
- **`not-a-file`** A declaration is read from regular files only. *Next:* name a regular file.
- **`too-large`** All files together may have 20 MB. *Next:* split off what is not access, or write groups and selectors instead of lists.
- **`not-utf-8`** Files are UTF-8. *Next:* save the file as UTF-8.
- **`byte-order-mark`** Files begin without a byte order mark. *Next:* save it as UTF-8 without BOM.
- **`include-path`** An include is a path relative to the root file, with forward slashes. *Next:* write the path with `/`, relative to the root file.
- **`include-outside`** Includes, and what they link to, stay under the root file's folder. *Next:* move the file below the root file's folder.
- **`include-not-yaml`** Includes are .yaml or .yml files. *Next:* rename it to `.yaml`.
- **`include-twice`** No file is included twice. *Next:* take one of the two lines out.

### YAML

- **`yaml`** A file must be YAML. *Next:* fix what the caret points at; quote text that holds `: ` or ` #`.
- **`tab`** YAML is indented with spaces. *Next:* indent with spaces.
- **`bad-character`** Control characters and exotic line ends stand in a file only as escapes. *Next:* write the character as an escape in double quotes, or take it out.
- **`empty-file`** A file must hold something. *Next:* begin with `version: 1`.
- **`several-documents`** A file holds one YAML document. *Next:* take out the `---` between them, or include the second file.
- **`not-a-mapping`** A file holds keys and values. *Next:* write `key: value` lines.
- **`looks-like`** A name mixes no scripts and looks like no other one; two spellings of one name are an error. *Next:* make sure who is meant, and give one of them another name.
- **`not-composed`** A name is written in composed characters (NFC). *Next:* type it anew, as the hint shows it.
- **`duplicate-key`** No key is given twice in one place. *Next:* keep one of the two.
- **`key-not-text`** Keys are text, and not empty. *Next:* write or quote the key as text.
- **`null`** No value is null; what is not meant is left out. *Next:* leave the key out, or give it a value.
- **`tag`** YAML tags have no meaning here. *Next:* take the `!tag` out, or quote the text.
- **`unquoted`** Text that YAML would read as something else is quoted. *Next:* quote it: `"!x"`, `"*"`, `"1.20"`.
- **`alias-bomb`** Aliases may repeat a bounded number of values. *Next:* write the values out, or use a group.
- **`alias-loop`** An alias must not repeat something that holds it. *Next:* write the value out.
- **`too-deep`** Values nest to a bounded depth. *Next:* nest less.

### Grammar

- **`unknown-key`** Only keys of the grammar may stand in a file. *Next:* take the key that was likely meant, or look it up with `siteward schema`.
- **`missing-key`** Keys that the grammar needs must be there. *Next:* add the key.
- **`wrong-type`** A value is of the kind its key takes. *Next:* give it a value of the kind that is named.
- **`wrong-value`** A value satisfies what its key asks. *Next:* give it a value as the message says.
- **`unknown-value`** A value is one of those its key allows. *Next:* take one of those listed.
- **`out-of-range`** A number lies within its bounds. *Next:* take a number within the bounds.

### Dates

- **`bad-date`** A date is a day of the calendar, or an instant. *Next:* write 2027-03-31, or 2027-03-31T18:00:00Z.
- **`instant-without-offset`** An instant says its offset from UTC. *Next:* append `Z` or `+02:00`.
- **`ends-before-it-begins`** `until` is not before `from`. *Next:* swap or correct the two.
- **`unknown-timezone`** `timezone` is a name of the time zone database. *Next:* write a name such as `Europe/Berlin`.
- **`window-on-exclusion`** An exclusion from a group has no dates. *Next:* give the dates to the members instead.

### Instances and policy

- **`instance-name`** The name of an instance can stand in the name of an environment variable. *Next:* use lower-case letters, digits and `-`.
- **`instance-collision`** No two instances read the same credentials. *Next:* rename one of them.
- **`bad-url`** An address is http or https, with a host and without query or fragment. *Next:* write the address as in a browser, up to the path Siteward lives under.
- **`host-not-ascii`** The host of an address is written as it is looked up, in ASCII. *Next:* write the `xn--` form that is named, once you know that it is the server you mean.
- **`secret-in-file`** Credentials never stand in a file. *Next:* take it out, revoke it, and give it by `SITEWARD_<INSTANCE>_…`.
- **`not-yet`** What the grammar has and the program does not act on yet is refused, so that nothing is taken for done. *Next:* take it out until a release says that it is acted on.
- **`unknown-platform`** A platform is one that is supported. *Next:* take one of those listed.
- **`self-missing`** Where the platform cannot tell whose credentials are used, `self` says so. *Next:* write `self:` with the login that the credentials belong to.
- **`native-groups`** `native` is for platforms that have groups. *Next:* take `native` out, or move it to such a platform.
- **`onboarding`** Accounts begin in a way the platform has. *Next:* take a way that is listed.
- **`unknown-blind-spot`** `accept_blind` names what the platform cannot show. *Next:* take one of those that `siteward doctor` lists.
- **`no-modules`** Module switches are for platforms that have modules. *Next:* take `modules` out for this instance.
- **`no-public-access`** `public` is for platforms that tell which sites everybody may see. *Next:* take `public` out for this instance, and look in the platform's own pages.
- **`public-clash`** No site is open on an instance that is closed (`public: false`). *Next:* close the site, or leave the instance open.
- **`admins-range`** `admins.max` is not below `admins.min`. *Next:* raise `max` or lower `min`.
- **`rule-id`** A rule has an id in lower-case words that none of Siteward's own rules has. *Next:* rename the rule.
- **`rule-twice`** No two rules in one place have the same id. *Next:* rename one of the two.
- **`rule-without-effect`** A rule demands something. *Next:* give it `require`, `at_most`, `at_most_for`, `not_with` or `login`.
- **`rule-of-nobody`** A rule on a user or a role speaks of one there is. *Next:* correct the name, or take the rule away.

### Names

- **`declared-twice`** A name is declared in one file. *Next:* keep one of the two.
- **`unknown-instance`** An instance that is named is declared. *Next:* declare it under `instances`, or correct the name.
- **`unknown-directory`** A directory that is named is declared. *Next:* declare it under `directories`, or correct the name.
- **`unknown-rule`** A waiver is of a rule there is, of ours or of the file. *Next:* correct the id.
- **`unknown-user`** A user or group that is named is declared. *Next:* declare it under `users` or `groups`, or correct the name.
- **`unknown-role`** A role is portable, declared, or a platform's own. *Next:* take one that is listed, or declare it under `roles`.
- **`unknown-tag`** A tag that is selected is some site's, or some user's. *Next:* give the tag to a site or user, or correct it.
- **`pattern-as-domain`** A site of the file has the domain of one site. *Next:* write the domain; patterns stand in `sites` of grants.
- **`reserved-role`** Portable roles are not declared anew. *Next:* give your role another name.
- **`name-clash`** No group has the name of a user. *Next:* rename the group.
- **`handle-twice`** No two names of users and groups differ in letter case alone. *Next:* make one row of them; references in any letter case find it.
- **`group-cycle`** No group holds itself. *Next:* take one of the memberships on the way out.
- **`group-depth`** Groups nest to a bounded depth. *Next:* nest less.
- **`unused-group`** A group is used somewhere. *Next:* grant it something, or take it out.
- **`empty-name`** Names are not empty. *Next:* write a name.
- **`name-too-long`** Names have at most 255 characters. *Next:* shorten it.
- **`hostile-character`** Names hold nothing that hides, reorders or controls text. *Next:* take the character out.

### People

- **`bad-email`** An e-mail is an address. *Next:* correct the address.
- **`email-twice`** No two users have one e-mail. *Next:* keep it with one of them.
- **`email-needed`** Where accounts are e-mails, whoever is granted something has one. *Next:* give the user an `email`.
- **`id-twice`** No two users have one id of the directory. *Next:* keep it with one of them.
- **`alumni-granted`** Who left for good (`state: alumni`) stands in no grant and in no group, and no account is wanted. *Next:* take the name out there, or give the user another state.
- **`key-twice`** No user has two keys of one name on one instance. *Next:* rename one of the two.
- **`account-twice`** No two users are one account. *Next:* give one of them another login, or merge the two users.
- **`self-declared`** The account whose credentials are used is never declared. *Next:* take the user out: nothing ever changes that account.
- **`reserved-login`** The login stands for everybody who is not logged in. *Next:* give another under `logins`; whether a site is open says `public` of the site.
- **`protected-login`** A protected account is nobody's login. *Next:* give another login, or have the owners of `protect` change the pattern.
- **`previously-clash`** A former name leads to one user only. *Next:* take the former name from one of the two.
- **`former-login-remains`** A former login is gone once there is a new one. *Next:* find out whose the old account is, then delete or rename it by hand.
- **`renamed-account`** The account of a declared user bears another name on the server; its id is the same. *Next:* write the new name under `logins`, or under `previously` to have it renamed back.
- **`account-not-there`** A user whose account a directory or sign-on makes (`managed_by`) is granted something and has no account yet; nothing is given. *Next:* nothing here: the account is made in the directory or at the first sign-in, and the grants follow with the next plan.
- **`no-account-ids`** The file has `ids` for an instance that shows no ids of accounts. *Next:* take them out.

### Grants

- **`edit-brings-tags`** The role `edit` brings the tag manager along. *Next:* give `view` where that will do.
- **`dead-line`** A grant or membership has ended, or can never hold because of the dates of others. *Next:* take it out, by hand or by the decision `remove` of a review.
- **`grant-to-nobody`** A grant is to somebody. *Next:* name a user or group.
- **`grant-without-sites`** A grant of a site role names sites. *Next:* add `sites`.
- **`account-role-without-on`** A grant of an account role names its instances. *Next:* add `on`.
- **`names-nothing`** A list that narrows names something. *Next:* name instances, or leave the key out.
- **`only-exclusions`** A list of exclusions also names something to exclude from. *Next:* add what they are excluded from, such as `"*"`.
- **`role-not-on-platform`** A role exists on every platform that its grant covers. *Next:* take the nearest role that is named, or narrow the grant with `on`.
- **`role-of-another-platform`** A platform's own role is granted on that platform. *Next:* narrow the grant with `on`, or declare a portable role.
- **`unknown-extra`** An extra is one the platform has. *Next:* take one that is listed.
- **`external-group`** A group whose members only a directory knows is granted where the platform has groups. *Next:* grant it on that platform alone, or list its members.
- **`incomparable-roles`** Of two roles on one site, one holds the other. *Next:* leave one of the grants out.
- **`wildcard-too-powerful`** A grant on a pattern carries at most what the policy allows patterns. *Next:* name the sites, or give less.
- **`beyond-include`** What an include grants lies within its bounds. *Next:* ask the root file's owners to widen the bounds, or grant less.
- **`unknown-site`** A site that is named exists. *Next:* correct the name; `siteward plan` shows what is there.
- **`ambiguous-site`** A site that is named is one site. *Next:* pin the id: `on: {instance: ID}`.
- **`matches-nothing`** A selector matches something. *Next:* correct the selector, or take it out.
- **`skips-sites`** A pattern leaves out sites that are matched by their id alone, because they are somebody else's or nobody's. *Next:* pin the ids, or have their owners move them.
- **`not-managed`** A site that is named is one the instance manages. *Next:* add the site to `manages`, or narrow the grant with `on`.

## What the guards refuse

A guard checks what is left of a plan after every step (see the promises in the README). An error blocks its step, or the whole instance where it is about none.

- **`self-unknown`** It is not known whose credentials are in use, so that account cannot be protected. *Next:* name it under `self`.
- **`self-not-listed`** The list of accounts does not hold the one in use, so it cannot be whole. *Next:* check `self`, and whether the account may read all others.
- **`self-protected`** The account in use is never changed. *Next:* do it by hand, with another admin's account.
- **`self-mismatch`** `self` names another account than the credentials open, or than `SITEWARD_<INSTANCE>_SELF` says beside them; in that case nothing was sent. *Next:* correct `self`, or use the other account's credentials.
- **`self-changed`** `self` names another account than the run before worked as, and nothing but the file says so. *Next:* set `SITEWARD_<INSTANCE>_SELF` to the account that the credentials belong to, or `--accept self=DIGEST --reason …` for this plan alone.
- **`self-unconfirmed`** The platform does not tell whose credentials these are, and an account that they may belong to would lose its power. *Next:* set `SITEWARD_<INSTANCE>_SELF` to the account that they belong to, or `--accept self=DIGEST --reason …` for this plan alone.
- **`implausible-reading`** Nothing was listed where the last run saw something. *Next:* find out why; if it is true, move the journal of the instance aside.
- **`incomplete-reading`** A removal would follow from an absence, and not everything was read. *Next:* fix what kept the rest from being read, then plan again.
- **`empty-grants`** `grants: []` takes everything from everybody. *Next:* leave the key out to manage nothing, or `--accept empty`.
- **`protected`** A pattern under `protect` covers what the step would change. *Next:* leave it out of the file, or have the pattern's owners change it.
- **`role-not-available`** The role cannot be given on this server. *Next:* take one that is listed.
- **`extra-not-available`** The server has no such right. *Next:* take it out, or install what brings it.
- **`deletion-not-asked`** An account would be deleted that no line calls absent. *Next:* say `state: absent` if that is meant.
- **`deletion-needs-consent`** The file asks for a deletion, this run does not allow any. *Next:* add `--allow-delete`, or leave it suspended.
- **`too-few-admins`** After this step there would be fewer admins than `admins.min`; whose time is over by a date never counted. *Next:* make another admin first, or wait until one counts.
- **`too-many-admins`** After this step there would be more admins than `admins.max`. *Next:* take one away, or raise the limit in a reviewed change.
- **`below-min-admins`** There are fewer admins than the policy asks for already. *Next:* make one more; only what lowers the number further is blocked.
- **`above-max-admins`** There are more admins than the policy allows already. *Next:* take one away.
- **`too-few-managers`** After this plan fewer persons may manage some sites than `policy.managers.min` says; a warning. *Next:* grant `manage` there to a person, or lower the number in a reviewed change.
- **`limit-removals`** More accounts would lose everything than the budget allows. *Next:* split the change, or `apply --accept removals=DIGEST --reason …` for this plan alone.
- **`limit-revocations`** More grants would be taken or lowered than the budget allows. *Next:* split the change, or `--accept revocations=DIGEST`.
- **`limit-escalations`** More grants would gain power than the budget allows. *Next:* split the change, or `--accept escalations=DIGEST`.
- **`limit-expiries`** More grants would end by their date than the budget allows. *Next:* look whether one date ends too much, or `--accept expiries=DIGEST`.
- **`limit-mails`** More mails would be sent than the budget allows. *Next:* split the change, or `--accept mails=DIGEST`.
- **`depends-on-blocked`** A step that this one needs is blocked. *Next:* fix that step.
- **`gap`** Somebody is without a role for a moment while this is done. *Next:* apply it when that does not hurt.
- **`reach`** One step applies to as many people as a group has. *Next:* look at the group's members.

## What meeting the live accounts shows

- **`existing-account`** A declared user meets a live account that no journal knows. *Next:* make sure that it is the same person before you apply.
- **`kept-by-error`** A row of the file in error takes nothing: what it may speak of stays as it is. *Next:* correct the row it names, and plan again.
- **`identity-mismatch`** The account under a declared user's login is another one than the journal or the file knows, or has another e-mail and is met for the first time; a warning where a directory or sign-on makes accounts (`managed_by`). *Next:* find out whose it is; confirm it with `ids` or `--accept identity:LOGIN@INSTANCE`, or give another login under `logins`.
- **`identity-gone`** The file names an account by an id that is not there, and a new account would have another one. *Next:* correct `ids`, or take it away to have a new account made.
- **`identities-unknown`** The base has users here, and no journal knows whether their accounts are still the same. *Next:* keep the journal where every run finds it.
- **`leavers-unknown`** Without a journal or a base, people removed from the file cannot be told from unmanaged accounts. *Next:* let `siteward apply` begin the journal, also where there is nothing to do, or compare with `--base REVISION`.
- **`possible-address-change`** One address loses, or an unmanaged account has, exactly what another gets. *Next:* if it is one person, correct the e-mail.
- **`declared-but-ignored`** A declared user's account matches `ignore`. *Next:* narrow the pattern, or take the user out.
- **`undeclarable-role`** Somebody has a role that is a fact and not a right to hand out, such as owning. *Next:* nothing, or change it in the product.
- **`still-public`** A site that the file closes is open, by something that no step here closes. *Next:* have it closed by hand as the message says, or declare it with `public: true`.
- **`held-by-group`** A group outside the file gives a declared person more than the file does. *Next:* take them out of the group on the platform, or declare what it gives.
- **`kept-beyond-declaration`** A declared person has more than the file gives, and nothing here changes it. *Next:* declare it, or take it away on the platform.
- **`public-access`** A site is open to everybody and the file does not say so. *Next:* say `public: true` or `public: false` for it.
- **`out-of-scope`** Somebody who is gone keeps access to sites that are not looked at. *Next:* widen `manages`, or take it away by hand.
- **`cannot-delete`** The platform cannot delete accounts; this one stays without access. *Next:* delete it by hand if it must go.
- **`managed-account-stays`** The account of an `absent` user whose account a directory or sign-on makes stays without access. *Next:* delete it there.
- **`cannot-rename`** The platform cannot rename accounts; this one keeps its login. *Next:* keep the old login under `logins`.

## Compared with a base

With `--base`, or in a merge request, the rules of the base also apply to the change.

- **`base-unreadable`** The base has no files that could be read, or git cannot be asked. *Next:* fetch it whole, or name another `--base`.
- **`base-without-file`** The base has no such file: everything in it is new. *Next:* look at all of it.
- **`base-not-valid`** The base's own files are wrong, so its policy cannot be applied. *Next:* fix the base first.
- **`policy-changed`** The change alters the policy that would check it. *Next:* have the policy's owners review it; the base's holds meanwhile.
- **`instance-changed`** The change alters an instance's address, mode or settings. *Next:* review it apart from the access it grants.
- **`kind-changed`** A user's kind changes, and with it the rules about them. *Next:* make sure that it is true.
- **`identity-changed`** A user's e-mail, login, key or owner changes. *Next:* make sure that it is still the same person.
- **`public-changed`** A site is opened to everybody. *Next:* make sure that it is meant.
- **`not-managed-before`** The change grants on what its base did not manage. *Next:* manage it in a change of its own first.
- **`grants-oneself`** The author of the change gains by it. *Next:* have somebody else approve it.
- **`extends-own-end`** The author of the change extends their own end. *Next:* have somebody else approve it.
- **`no-revision`** A revision to compare with does not exist here, lacks files, or holds names that no checkout can have. *Next:* fetch it whole, or correct the name.
- **`no-declaration`** There is no such file at that revision. *Next:* name the file with `-c`, or another revision.
- **`not-valid`** The files of a revision are wrong. *Next:* `siteward validate` at that revision.
- **`renamed`** A user of the one revision has another handle in the other. *Next:* nothing; they are shown as one.
- **`later-not-told`** More dates lie ahead than are evaluated. *Next:* ask again with a later `--as-of`.

## Passwords

- **`no-password-destination`** A new password has nowhere to go, so the account is not made. *Next:* give the user an `age` key, or name a file with `--passwords-out`.
- **`age-key-invalid`** A user's `age` key is none. *Next:* correct it: `age1…` or an SSH public key.
- **`age-extra-missing`** Encrypting to `age` keys needs an extra. *Next:* pip install 'siteward[age]'.
- **`passwords-out-unsafe`** Others could read the file that passwords would go to. *Next:* chmod 600, or name another file.

## Plan, apply and journal

- **`cannot-read`** A file that was named cannot be read. *Next:* check the path.
- **`cannot-write`** A file cannot be written. *Next:* check the path, the rights and the space.
- **`plan-unreadable`** The file holds no plan of this version. *Next:* `siteward plan --out plan.json`.
- **`plan-damaged`** The plan is not what its digest says. *Next:* plan again; never edit a plan.
- **`plan-unexpected`** The plan is not the one that `--expect` names. *Next:* find out which one was reviewed.
- **`plan-too-old`** The plan is older than `--max-age`. *Next:* plan again.
- **`plan-from-the-future`** The plan was made at a time that is yet to come. *Next:* set the clock of one of the machines right.
- **`plan-as-of`** The plan speaks of another moment than this run. *Next:* repeat the `--as-of` it was made with.
- **`plan-unknown-instance`** The file has no instance of that name any more. *Next:* plan again.
- **`instance-left-out`** The plan has an instance that this run was not asked for. *Next:* nothing, or apply the plan to it too.
- **`plan-other-origin`** The plan is for another server, base path or platform. *Next:* plan again, and find out who moved the address.
- **`nothing-chosen`** `--only` names what no step of the plan is about. *Next:* nothing, or look at the plan.
- **`only-unknown`** `--only` names a person or site that is neither in the file nor in what was read. *Next:* correct the name.
- **`partial`** `--only` confines the plan to a part; what it leaves out is counted and named. *Next:* plan and apply without `--only`, when the rest is to be done.
- **`needs-left-out`** A step of the part that `--only` names needs one that it leaves out. *Next:* plan and apply without `--only`.
- **`waits-for-plan`** A date gives what the file at the last completed apply did not give, or that file cannot be read. *Next:* plan and apply without `--only`.
- **`begins-later`** The file has starts to come that the last completed apply did not have. *Next:* apply the plan, be it empty; then `siteward apply --only dates` begins what is due.
- **`as-of-behind-record`** `--as-of` is earlier than a moment that the journal has a run for: an apply then takes and gives nothing. *Next:* apply without `--as-of`, or for a later moment.
- **`dates-carried-out`** The moment up to which end dates were carried out. *Next:* where ends are due, `siteward apply --only dates`.
- **`accept-other-plan`** The digest after `--accept` is another plan's. *Next:* review this plan, then use its digest.
- **`accept-without-reason`** `--accept` was given no reason. *Next:* add `--reason`; it is written to the journal.
- **`config-changed`** The files are not those the plan was made from. *Next:* nothing: what they no longer want is refused; or plan again.
- **`journal-broken`** The journal is not what was written. *Next:* restore it from a copy, or move it away; find out who changed it.
- **`journal-begun`** A journal begins with what an apply or an import found to be as the file says. *Next:* keep it, where every run finds it.
- **`journal-not-sealed`** `SITEWARD_JOURNAL_KEY` is set, and no line of the journal carries its seal. *Next:* nothing before the first apply with the key; else find out who rewrote it.
- **`journal-partly-sealed`** The first lines of the journal do not carry the seal of `SITEWARD_JOURNAL_KEY`; they give no consents. *Next:* nothing where the key came later than the journal; else find out who rewrote it.
- **`journal-without-path`** The last run was journalled before base paths were; the journal is taken for this instance's. *Next:* nothing, if the server has not moved: the next apply writes the path down.
- **`journal-other-origin`** The last run of this journal was on another server or base path. *Next:* make sure that the server moved, and that it is not another's journal.
- **`journal-busy`** Another apply is at work on this instance. *Next:* wait for it.
- **`journal-not-written`** The journal cannot be written, so nothing more is sent. *Next:* fix the disk or the rights, then `siteward apply --resume`.
- **`unfinished-run`** An apply was interrupted here. *Next:* `siteward apply --resume`.
- **`run-resumed`** An interrupted run goes on, with the consents that its sealed lines give. *Next:* read which these are.
- **`resume-not-sealed`** `SITEWARD_JOURNAL_KEY` is set, and the interrupted run has lines without its seal. *Next:* `siteward apply --resume --expect DIGEST` with the digest of the plan that was reviewed, and every consent once more; or plan anew, which gives the run up.
- **`resume-needs-consents`** The interrupted run says that it was allowed more than the plan, and no seal proves it. *Next:* give the consents that are named once more, by the command shown; or plan anew, which gives the run up.
- **`nothing-to-resume`** Every run in the journals has an end. *Next:* `siteward plan`.
- **`answers-lost`** Answers of an earlier apply were lost; reading shows what became of those writes. *Next:* nothing, or `siteward apply --resume`, which writes it down.
- **`write-unsettled`** An earlier write to the same account, group or grant got no answer and may still take effect. *Next:* plan again after the time that is named.
- **`late-not-finished`** A write of an earlier apply came late, and what belongs to it could not be done. *Next:* plan and apply again.
- **`another-run`** A run of another plan has no end either. *Next:* finish it with `--resume`, or plan anew.
- **`run-given-up`** An unfinished run is given up for this plan. *Next:* nothing; its outcomes stay in the journal.
- **`invitation-sent`** An invitation was sent again. *Next:* wait for the person to take it up.
- **`nothing-to-resend`** There is no invitation that could be sent again. *Next:* read why; `siteward plan` shows who is waiting.
- **`plan-lost`** The plan of the unfinished run is gone. *Next:* plan again.
- **`appeared`** Changes appeared while this was applied. *Next:* `siteward plan`.
- **`end-not-read`** The access after the run could not be read. *Next:* `siteward plan`, to see it.

## Servers and credentials

- **`unreachable`** There was no usable answer. *Next:* check the address, the network and the certificate.
- **`not-the-platform`** Something answered, but not the platform that the file names. *Next:* check `url` and `platform`.
- **`gate-before-platform`** Something that stands before the platform answered in its place: a page or a login of its own. *Next:* give the headers that let a program pass in `SITEWARD_<INSTANCE>_HEADERS`, or look whether `url` leads to the platform itself.
- **`bad-headers`** The extra headers hold what is no header, or a name that is refused; nothing was sent. *Next:* correct the lines that are named.
- **`unauthenticated`** The credentials were not accepted. *Next:* try them in the product's own login page.
- **`forbidden`** This account may not do what was asked. *Next:* give it the role that is named, or use another.
- **`refused`** The platform said no, in the words quoted. *Next:* fix what it names.
- **`incomplete-listing`** A list did not prove its end, so nothing follows from what is absent. *Next:* try again; look for a proxy that cuts answers.
- **`outcome-unknown`** A write was sent and its answer was lost. *Next:* the next plan or apply reads what came of it.
- **`read-only`** A call was refused unsent, because this verb only reads. *Next:* report it: it is a fault of Siteward.
- **`credential-missing`** A credential is in none of the places it may stand. *Next:* set one of the variables that are named.
- **`origin-mismatch`** The credentials are bound to another address; nothing was sent. *Next:* set `SITEWARD_<INSTANCE>_URL` to the address they are for, once you know that it is right.
- **`path-not-bound`** The address beside the credentials has no path, so they may go to every path of its host. *Next:* set `SITEWARD_<INSTANCE>_URL` to the value that is named, with the path; later releases take an address without one for the root alone.
- **`insecure-transport`** Credentials would travel unencrypted, lie open, or come from a `.env` that a branch may have brought along; nothing was sent. *Next:* use https, or what the message names.
- **`platform-error`** Another error of a server. *Next:* read the message; `-vv` shows the requests.

## Umami

- **`own-account`** The account in use is never changed. *Next:* use another admin's account.
- **`owner-stays`** Owning a site or team is no right that can be taken. *Next:* move the site or team in Umami.
- **`owns-sites`** The account owns sites, which would be deleted with it. *Next:* move them first.
- **`owns-teams`** The account owns teams, which would be deleted with it. *Next:* give them another owner first.
- **`deletes-account`** Memberships and reports go with the account. *Next:* make sure that nobody needs them.
- **`irreversible`** A new account of that login would be another one. *Next:* be sure.
- **`login-taken`** Another account has that login. *Next:* give another login under `logins`.
- **`login-clash`** Logins differ in letter case alone, and Umami confuses them. *Next:* rename one in Umami.
- **`login-impossible`** Umami would not take this login. *Next:* give another under `logins`.
- **`login-not-folded`** Umami would keep the login in lower case. *Next:* write it in lower case.
- **`mixed-case-login`** An old login has capitals and cannot log in by name any more. *Next:* rename it in Umami.
- **`role-unknown`** A live row or a step has a role that Umami does not know. *Next:* correct it in Umami, or take one that is listed.
- **`shared-team`** A team holds several sites, so a role in it opens all of them. *Next:* give each site a team, or grant the same on all of them.
- **`site-cannot-be-moved`** The site belongs to somebody else, so it cannot get a team. *Next:* one of the ways that the message names.
- **`site-without-team`** With `layout: existing` a site without a team can be granted to nobody. *Next:* put it into a team, or use `layout: per-site`.
- **`team-without-site`** Nobody is put into a team without sites. *Next:* put a site into it first.
- **`team-without-owner`** A team has no owner. *Next:* give it one in Umami.
- **`managed-team-not-ours`** A managed team belongs to another account. *Next:* make the account in use its owner.
- **`creates-team`** A team is made for the site. *Next:* nothing.
- **`uses-team-again`** A managed team that lost its site is used again, emptied first. *Next:* nothing.
- **`left-over-team`** A managed team has no site any more and people are still in it. *Next:* delete it in Umami, or give its site back a grant.
- **`moves-site`** The site is moved into its team. *Next:* nothing; its data stays.
- **`new-access-code`** The team's access code is set anew, so that the old one lets nobody in again. *Next:* tell those who use it to join.
- **`keeps-board-links`** Who loses access had a role that may share boards publicly; such links stay open, and no list shows them. *Next:* look at the person's boards; only a new APP_SECRET ends the links for certain.
- **`may-share-boards`** With this role one may share boards publicly, and no list shows it. *Next:* leave new accounts `view-only`, which cannot.
- **`edit-may-delete`** In Umami whoever may edit a site may also delete it. *Next:* give view where that will do.
- **`replaces-duplicates`** Several rows of one member become one. *Next:* nothing.
- **`duplicate-member`** An account stands in a team more than once. *Next:* nothing: the next change of theirs puts it right.
- **`ghost-member`** A team has a member whose account does not exist, or is marked as deleted. *Next:* an admin can remove it by the account's id.
- **`orphan-site`** A site belongs to nobody. *Next:* give it an owner in the database, or delete it.
- **`site-owned-by-account`** A site belongs to a person and is matched by its id alone. *Next:* pin the id, or have its owner move it.
- **`public-share-link`** Everybody who knows the link can read the statistics. *Next:* say `public: true` of the site if it is meant; else delete the link, and set a new APP_SECRET if it was misused.

## Matomo

- **`account-deleted`** Reports, dashboards and tokens go with the account. *Next:* make sure that nobody needs them.
- **`cannot-invite`** This release or setting cannot invite. *Next:* say `onboarding: password`.
- **`invitation-needs-site`** An invitation must name a site. *Next:* grant a site together with the account.
- **`invitation-expired`** An invitation was not taken up in time. *Next:* `apply --resend LOGIN@INSTANCE`.
- **`pending-superuser`** Who has not taken up the invitation cannot become superuser yet. *Next:* plan again when they have.
- **`mail`** The platform sends a mail. *Next:* tell those who get one.
- **`email-form`** Matomo would not take this e-mail. *Next:* correct it.
- **`email-taken`** Another account has that e-mail. *Next:* find out whose it is.
- **`login-form`** Matomo would not take this login. *Next:* give another under `logins`.
- **`login-has-grants`** Old grants wait in the database for whoever gets this login. *Next:* have them taken out of the database.
- **`password-missing`** Superusers are changed only with the token owner's password. *Next:* set `SITEWARD_<INSTANCE>_PASSWORD`.
- **`password-not-asked`** LoginLdap is on, and the server asks for no password. *Next:* nothing; where the plugin was set to ask, give `SITEWARD_<INSTANCE>_PASSWORD`.
- **`grants-replaced`** Making or unmaking a superuser wipes the grants on sites. *Next:* nothing: the plan gives again what is declared.
- **`reports-deleted`** Scheduled reports of that site are deleted with the access. *Next:* export them first.
- **`made-public`** The site's statistics are opened to everybody. *Next:* be sure.
- **`capability-asleep`** The plugin that brings a capability is switched off, and what people hold by it sleeps. *Next:* switch it on, or take their access there away.
- **`public-superuser`** Everybody cannot be made superuser. *Next:* take it out of the file.
- **`public-view-only`** Everybody can be given view at most. *Next:* write `public: true`.
- **`no-such-site`** The site is gone. *Next:* plan again.
- **`orphan-grant`** Grants wait for a site or login that does not exist. *Next:* have them taken out, as the message says.
- **`stray-grants`** Superusers have grants on sites that hold when they stop being one. *Next:* nothing: they go with the superuser.
- **`stray-spelling`** Grants were written with another letter case. *Next:* nothing: the next change puts them right.

## Piwik PRO

- **`invitation`** An invitation is sent. *Next:* tell those who get one.
- **`last-owner`** The last owner cannot be taken away. *Next:* make another one first.
- **`needs-owner-key`** Only an owner's API key may do this. *Next:* use such a key.
- **`key-of-no-owner`** The API key belongs to no owner, so not everything can be seen. *Next:* use an owner's key.
- **`sleeping-levels`** Grants sleep under an owner and wake when they stop being one. *Next:* plan again after the apply.
- **`grant-for-owner`** An owner has everything already. *Next:* take the grant out, or the role of owner.
- **`group-gives-more`** A group gives more than the file grants. *Next:* take the person out of the group, or lower the group.
- **`unmanaged-group`** People have access to sites through a group that the file does not manage. *Next:* `native: true` manages groups.
- **`external-members`** Only the directory changes this group's members. *Next:* change them there.
- **`metasite-pools`** A grant on a meta site opens every site in it. *Next:* look at its sites.
- **`unlicensed-module`** The account has no such module. *Next:* take one that is listed.
- **`unsupported-language`** Piwik PRO does not offer this language. *Next:* take one that is listed.

## Plausible

- **`guest-layer-only`** Only guests of sites can be seen here, never members of the team. *Next:* name them in `team_members`, and accept the blind spot.
- **`role-too-low`** The credentials' role in the team cannot manage guests. *Next:* use those of an owner or admin.
- **`no-address`** An account here is an e-mail address. *Next:* give the user one that can be invited.
- **`redundant-grant`** A member of the team sees every site already. *Next:* take the grant out.
- **`team-members-unstated`** Who is in the team is not said, and inviting a member fails. *Next:* write `team_members`, even if empty.
- **`role-change-manual`** The Sites API cannot change the role of somebody who has accepted. *Next:* change it in Plausible, or write `role_change: reinvite`.
- **`reinvites`** A role is changed by taking it away and inviting anew. *Next:* tell the person: there is no access until they accept.
- **`role-in-place`** A role is changed at once, without a mail. *Next:* nothing.
- **`invites-anew`** An open invitation is withdrawn and sent with another role. *Next:* nothing.
- **`withdraws`** An open invitation is withdrawn, without a mail. *Next:* nothing.
- **`inherits-age`** A new invitation takes over the age of an open one. *Next:* withdraw all of that address first.
- **`invited-recently`** The last invitation is younger than `resend_after`. *Next:* wait, or lower it.
- **`did-not-accept`** Nobody accepted within `max_sends` invitations. *Next:* ask the person, then raise `max_sends`.
- **`mails`** How many mails this sends. *Next:* tell those who get one.
- **`removal`** Somebody is mailed that their access has ended. *Next:* nothing.
- **`segments`** Personal segments go with the access. *Next:* save what is needed first.
- **`site-gone`** A site that a change is about is not in the team any more. *Next:* look where it went.
- **`site-renamed`** A site has another domain now. *Next:* name it by the new one; the old one will be free for others.
- **`site-transfer`** A site is being handed over to somebody else. *Next:* find out whether that is meant.
- **`team-invitation`** Somebody is invited into the team. *Next:* look whether that is meant; nothing here changes it.
- **`single-owner`** The team has one owner. *Next:* make a second one.
- **`public-dashboard`** A site's statistics are public. *Next:* say `public: true` of the site if that is meant; else have it made private.
- **`shared-link`** A link shows a site's statistics to whoever knows it. *Next:* say `public: true` of the site if it is meant; else have it deleted.

## Use of the program

- **`unfinished-platform`** A platform's folder has all modules that a platform needs. *Next:* add what is named; [Add a platform](add-a-platform.md) leads through it.
- **`usage`** The command was written wrongly. *Next:* `siteward VERB --help`.
- **`interrupted`** Somebody stopped the program. *Next:* `siteward apply --resume`, if it was applying.
- **`no-answer`** The question names somebody or something that is not there. *Next:* `siteward who-can view SITE`.
- **`bad-decisions`** The file of decisions cannot be read as one. *Next:* write it with `siteward review`.
- **`not-read`** A review names the instances that it was to cover and could not read. *Next:* fix what kept the instance from being read, then make it again.
- **`review-changed`** Access changed since the review was written. *Next:* review again.

## Results and drift

Forges and CI get these as findings beside the diagnostics above.

- **`access-raised`** A change gives somebody more power than they had. *Next:* look at its cause.
- **`access-removed`** A change takes access away or lowers it. *Next:* look at its cause.
- **`external-gains`** Somebody from outside gains access. *Next:* make sure that it is meant, and ends.
- **`account-created`** An account is created. *Next:* nothing.
- **`apply-failed`** A step failed. *Next:* read why, then plan again.
- **`apply-unknown`** An answer was lost and reading could not settle it. *Next:* `siteward apply --resume`, or plan again a few minutes later: both read first.
- **`apply-refused`** What a step touches is no longer as it was reviewed. *Next:* plan again.
- **`apply-blocked`** A step was not sent, because an error stands on it. *Next:* fix what is named.
- **`apply-skipped`** A step was left out, because one that it needs was not done. *Next:* fix that one.
- **`drift-changed-since`** Live access changed since the last apply. *Next:* find out who did it; plan puts it back, and what it leaves is told until it is declared, ignored or gone.
- **`drift-undeclared`** Live access that nothing declares. *Next:* declare it, or let plan take it.
- **`drift-unapplied`** Declared access that is not applied yet. *Next:* apply it.
"""


class Rule(Struct, frozen=True):
    """A rule: its id, a sentence with its demand or fact, the next step, the part that reports it, and its former id."""

    code: str
    sentence: str
    step: str
    raised_by: str
    formerly: str | None = None

    @property
    def name(self) -> str:
        """The id in the form of a SARIF rule name (`UnknownRole`)."""
        return "".join(part.capitalize() for part in self.code.split("-"))


def _parse_rules(page: str) -> Iterator[Rule]:
    """Yield the rules of a page; raises `ValueError` for a list item that has not the form of one."""
    raised_by = ""
    for line in page.splitlines():
        if line.startswith("## "):
            raised_by = line[3:]
        if not line.startswith("- "):
            continue
        entry = _ENTRY.match(line)
        if entry is None:
            raise ValueError(f"this line of the catalogue is no rule: {line}")
        yield Rule(entry["code"], entry["sentence"], entry["step"], raised_by, entry["former"])


def _with_former_ids(page: str) -> str:
    """Return the page with the former id of each renamed rule behind its id; raises `ValueError` for an unknown rule."""
    for code, former in FORMERLY.items():
        entry = f"- **`{code}`** "
        if entry not in page:
            raise ValueError(f"the catalogue has no rule {code}, formerly {former}")
        page = page.replace(entry, f"{entry}(formerly `{former}`) ")
    return page


PAGE = _with_former_ids(_PAGE)
RULES: Mapping[str, Rule] = MappingProxyType({rule.code: rule for rule in _parse_rules(PAGE)})
FILE_RULES: Mapping[str, str] = MappingProxyType(
    {rule.code: rule.sentence for rule in RULES.values() if rule.raised_by == THE_FILE}
)
"""The sentences of the rules that a declaration can break, by id."""
RESERVED: frozenset[str] = frozenset({*RULES, *FORMERLY.values()})
"""The ids that no rule of the owners may have: the current ones, and the former ones, which reports still name."""


def sentence(code: str) -> str:
    """Return the sentence of a rule; for a rule of the owners, its id in words."""
    return RULES[code].sentence if code in RULES else code.replace("-", " ")


if __name__ == "__main__":
    sys.stdout.write(PAGE)
