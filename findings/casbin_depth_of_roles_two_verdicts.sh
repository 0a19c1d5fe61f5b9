#!/bin/sh
# casbin 2.8.0 of PyPI (package pycasbin) against casbin 5.51.1 of npm: one model, one policy file, two verdicts.
#
# Casbin answers "may this person do that" from the same two files in many languages. Both libraries follow groups in
# groups up to a depth that each of them says is 10, and stop there without a word. They count it differently: a right
# that is 10 steps away is denied by the Python library and allowed by the JavaScript one.
#
# In each library the list of a person's rights, which an access review shows (get_implicit_permissions_for_user,
# getImplicitPermissionsForUser), has no such depth: it names a right that the verdict of the same library denies. The
# list of the people who have a right asks for the verdict, so that the two lists of one library contradict each other.
#
# Expected: one verdict, and lists that agree with it. Seen, by the number of steps (a allowed, d denied):
#   python  9 steps: verdict a, listed for the person 1, people listed for the right 1
#   python 10 steps: verdict d, listed for the person 1, people listed for the right 0
#   python 11 steps: verdict d, listed for the person 1, people listed for the right 0
#   node    9 steps: verdict a, listed for the person 1, people listed for the right 1
#   node   10 steps: verdict a, listed for the person 1, people listed for the right 1
#   node   11 steps: verdict d, listed for the person 1, people listed for the right 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check 'pycasbin==2.8.0'
(cd "$folder" && npm install --silent --no-fund --no-audit casbin@5.51.1 >/dev/null)
cat > "$folder/model.conf" <<'MODEL'
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
MODEL
for steps in 9 10 11; do
  {
    echo "p, team$steps, shop, view"
    echo "g, anna, team1"
    for step in $(seq 1 $((steps - 1))); do echo "g, team$step, team$((step + 1))"; done
  } > "$folder/policy$steps.csv"
done
(cd "$folder" && env/bin/python - <<'PYTHON'
import casbin

for steps in (9, 10, 11):
    model = casbin.Enforcer("model.conf", f"policy{steps}.csv")
    verdict = "a" if model.enforce("anna", "shop", "view") else "d"
    listed = len(model.get_implicit_permissions_for_user("anna"))
    people = len(model.get_implicit_users_for_permission("shop", "view"))
    words = f"verdict {verdict}, listed for the person {listed}, people listed for the right {people}"
    print(f"python {steps:2} steps: {words}")
PYTHON
) > "$folder/seen"
cat > "$folder/ask.mjs" <<'NODE'
import { newEnforcer } from 'casbin'

for (const steps of [9, 10, 11]) {
  const model = await newEnforcer('model.conf', `policy${steps}.csv`)
  const verdict = await model.enforce('anna', 'shop', 'view') ? 'a' : 'd'
  const listed = (await model.getImplicitPermissionsForUser('anna')).length
  const people = (await model.getImplicitUsersForPermission('shop', 'view')).length
  const words = `verdict ${verdict}, listed for the person ${listed}, people listed for the right ${people}`
  console.log(`node   ${String(steps).padStart(2)} steps: ${words}`)
}
NODE
(cd "$folder" && node ask.mjs) >> "$folder/seen"
cat "$folder/seen"
grep -E '^#   (python|node)' "$0" | cut -c5- | diff - "$folder/seen"
