// Verifies a journal without Siteward: node verify-journal.mjs stats.jsonl [HEAD]. Needs no key, and checks no seals.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const [path, head] = process.argv.slice(2);
const sha = (text) => createHash("sha256").update(text).digest("hex");
const fail = (line, why) => {
  console.error(`${path}:${line}: ${why}`);
  process.exit(1);
};
const lines = readFileSync(path, "utf8").split("\n");
if (lines.pop() !== "") fail(lines.length + 1, "the last line is cut off");

let [prev, count, parts, sums] = ["", 0, [], new Set()];
lines.forEach((line, index) => {
  const number = index + 1;
  const erased = /^\{"part":"erased","sum":"([0-9a-f]{64})"\}$/.exec(line);
  const tail = /,"sum":"([0-9a-f]{64})"(,"seal":"[0-9a-f]{64}")?\}$/.exec(line);
  if (erased || !tail) {
    parts.push({ number, sum: erased ? erased[1] : sha(line) });
    return;
  }
  const body = line.slice(0, tail.index);
  if (sha(body) !== tail[1]) fail(number, "the sum does not match");
  const header = JSON.parse(`${body}}`);
  if (header.prev !== prev || header.n !== ++count) fail(number, "it does not follow the record before");
  parts.forEach(({ number: at, sum }, place) => {
    if (sum !== header.parts[place]) fail(at, "the part is not the one that its record counts");
  });
  if (parts.length !== header.parts.length) fail(number, "a part is missing before this line");
  prev = tail[1];
  sums.add(prev);
  parts = [];
});
if (parts.length) fail(lines.length, "the last record has no header");
if (head && !sums.has(head)) fail(lines.length, `no record has the sum ${head}`);
console.log(`${count} records, head ${prev}`);
