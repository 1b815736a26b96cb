import assert from "node:assert/strict";
import { test } from "node:test";
import { describeDatabase, normaliseUrl } from "../../sql/url.ts";

test("a unix socket may be given as libpq does, and never has TLS", () => {
  for (const url of [
    "postgres://u@/db?host=/run/pg",
    "postgres://u@/db?host=%2Frun%2Fpg&sslmode=require",
    "postgres://u@%2Frun%2Fpg/db",
  ]) {
    assert.equal(normaliseUrl(url), "postgres://u@%2Frun%2Fpg/db?sslmode=disable", url);
  }
});

test("each sslmode of libpq is put into one that slonik has", () => {
  const mode = (given: string) => new URL(normaliseUrl(`postgres://h/db?sslmode=${given}`)).searchParams.get("sslmode");
  assert.deepEqual(["disable", "allow", "prefer", "no-verify", "require", "verify-ca", "verify-full"].map(mode), [
    "disable",
    "disable",
    "disable",
    "no-verify",
    "require",
    "require",
    "require",
  ]);
  assert.throws(() => mode("maybe"), /sslmode=maybe is none of disable/);
});

test("everything else of a URL stays, and a session gets a name unless it has one", () => {
  const url = normaliseUrl("postgresql://u:p%40ss@h:99/db?options=-csearch_path%3Djobs", "tasktrail");
  assert.equal(url, "postgres://u:p%40ss@h:99/db?options=-csearch_path%3Djobs&application_name=tasktrail");
  assert.match(normaliseUrl("postgres://h/db?application_name=mine", "tasktrail"), /application_name=mine$/);
});

test("what cannot be a URL is refused with a word about why", () => {
  assert.throws(() => normaliseUrl("mysql://h/db"), /looks like postgres:/);
  assert.throws(() => normaliseUrl("postgres://a,b/db"), /several hosts/);
  assert.throws(() => normaliseUrl("postgres://u:p[@h:x/db"), /percent-encode/);
});

test("a database is described without its password, whatever was given", () => {
  assert.equal(describeDatabase("postgres://me:secret@h:99/db"), 'h:99, database "db", user "me"');
  assert.equal(describeDatabase("postgres:///db"), 'localhost:5432, database "db"');
  for (const url of ["postgres://me:secret@h:x/db", "secret", "postgres://me:secret@a,b/db"]) {
    assert.doesNotMatch(describeDatabase(url), /secret/);
  }
});
