# SPDX-License-Identifier: Apache-2.0
"""How fast a client may ask, and how much it may hold at once."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import Stack, wait_for
from support.api import PASSWORD, Events, bearer, in_tenant, make_token, make_user, register
from support.stack import CORE


def test_one_address_tries_so_many_passwords(new_stack):
    """With other names each time, which no account counts; a right one costs nothing, and others go on."""
    stack = new_stack("mariadb", "zookeeper", "api", name="guesses", auth="token", settings=(
        "api.bad_password_rate=1", "api.bad_password_burst=5", "api.trusted_proxies=127.0.0.0/8"))
    make_user(stack.api, "pat", "user", PASSWORD)

    def attempt(name, password, address):
        body = {"tenant": "superadmin", "user": name, "password": password}
        return bearer(stack, None).post("/v2/login", body, headers={"X-Forwarded-For": address})

    numbers = itertools.count()

    def held_back(address):
        """Eight at once are more than come back in the time that they take; 503: not tried for want of memory."""
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: attempt(f"name{number}", "a wrong password", address(number)),
                                    itertools.islice(numbers, 8)))
        assert {answer.status for answer in answers} <= {401, 429, 503}, answers
        return next((answer for answer in answers if answer.status == 429), None)

    for _ in range(6):
        assert attempt("pat", PASSWORD, "198.51.100.7").status == 200
    answers = [attempt(f"first{number}", "a wrong password", "198.51.100.7") for number in range(5)]
    assert all(answer.status == 401 for answer in answers), answers
    refused = wait_for(lambda: held_back(lambda _: "198.51.100.7"), what="one that is refused")
    assert int(refused.headers["Retry-After"]) >= 1 and "address" in refused.text
    # what the client itself says before its proxy does counts for nothing
    assert attempt("pat", PASSWORD, "203.0.113.9, 198.51.100.7").status in (200, 429)
    assert attempt("pat", PASSWORD, "198.51.100.8").status == 200
    # One machine may have all addresses of a network of 64 bits; and one of version 4, written as of version 6.
    for address in (lambda number: f"2001:db8:0:7::{number:x}", lambda _: "198.51.100.7", lambda _: "::ffff:c633:6407"):
        wait_for(lambda address=address: held_back(address), what="one that is refused")
    assert attempt("six", "a wrong password", "2001:db8:0:8::1").status == 401
    assert "loom_api_bad_passwords_total" in stack.api.get("/metrics").text


@pytest.fixture(scope="module")
def paced():
    """A Loom in which little is much."""
    with Stack("paced", ("api.token_rate=1", "api.token_burst=20", "api.tenant_rate=1", "api.tenant_burst=30",
                         "api.tenant_held=3")) as made:
        made.up(*CORE)
        yield made


def ask(client):
    """Asks until it is refused: how often it was answered, and the refusal."""
    for answered in range(1000):
        answer = client.get("/v2/whoami")
        if answer.status == 429:
            return answered, answer
        assert answer.status == 200, answer
    raise AssertionError("nothing was refused")


def test_a_token_asks_so_often_and_others_go_on(paced):
    paced.sql("INSERT INTO tenant (id, name) VALUES ('fast', 'fast'), ('calm', 'calm')")
    fast, calm = (in_tenant(paced, name) for name in ("fast", "calm"))
    make_user(fast, "ann", "user")
    make_user(calm, "bob", "user")
    ann, also_ann = (bearer(paced, make_token(fast, name, user="ann")["token"]) for name in "ab")
    bob = bearer(paced, make_token(calm, "b", user="bob")["token"])
    began = time.monotonic()
    good, refused = ask(ann)
    passed = time.monotonic() - began
    assert 20 <= good <= 20 + passed + 1, (good, passed)
    assert 1 <= int(refused.headers["Retry-After"]) <= 2 and "token" in refused.text, refused
    # The tenant's others have what it left, and no more; other tenants all of theirs.
    more, refused = ask(also_ann)
    passed = time.monotonic() - began
    assert good + more <= 30 + passed + 1 and "tenant" in refused.text, (good, more, passed, refused)
    assert [bob.get("/v2/whoami").status for _ in range(10)] == [200] * 10
    wait_for(lambda: ann.get("/v2/whoami").status == 200, what="room for one more")
    assert paced.metric("api.external", "loom_api_too_fast_total") >= 2
    assert bearer(paced, None).get("/livez").status == 200


@pytest.fixture(scope="module")
def slowly_changed():
    """A Loom in which a tenant may change little."""
    with Stack("changed", ("api.tenant_change_rate=1", "api.tenant_change_burst=6")) as made:
        made.up(*CORE)
        yield made


@pytest.mark.parametrize("body, counts", [({}, 1), ({"notes": "x" * 40000}, 3), ({"notes": "x" * 400000}, 6)])
def test_a_tenant_changes_clusters_so_often_and_asks_on(slowly_changed, body, counts):
    """Counted before it is looked at, by its size; what is larger than all that may be had can still be had."""
    name = f"change{counts}"
    slowly_changed.sql(f"INSERT INTO tenant (id, name) VALUES ('{name}', '{name}'), ('{name}-calm', '{name}-calm')")
    users = []
    for tenant in (name, f"{name}-calm"):
        admin = in_tenant(slowly_changed, tenant)
        make_user(admin, "ann", "user")
        users.append(bearer(slowly_changed, make_token(admin, "t", user="ann")["token"]))
    user, calm = users
    before = slowly_changed.metric("api.external", "loom_api_too_many_changes_total")
    began = time.monotonic()
    answers = [user.post("/v2/clusters", body) for _ in range(12)]
    passed = time.monotonic() - began
    taken = [answer for answer in answers if answer.status == 400]
    refused = [answer for answer in answers if answer.status == 429]
    assert 6 // counts <= len(taken) <= (6 + passed) // counts + 1 and len(taken) + len(refused) == 12, answers
    assert "tenant_change_rate" in refused[-1].text and 1 <= int(refused[-1].headers["Retry-After"]) <= counts
    assert slowly_changed.metric("api.external", "loom_api_too_many_changes_total") - before == len(refused)
    assert user.get("/v2/clusters").status == 200 and calm.post("/v2/clusters", {}).status == 400


def test_a_tenant_holds_so_many_streams(paced):
    paced.sql("INSERT INTO tenant (id, name) VALUES ('held', 'held'), ('free', 'free')")
    held, free = (in_tenant(paced, name) for name in ("held", "free"))
    for admin in (held, free):
        make_user(admin, "eve", "user")
        admin.identity["Authorization"] = f"Bearer {make_token(admin, 't', user='eve')['token']}"
    streams = [Events(held, "/v2/clusters/events") for _ in range(3)]
    index, services = (held.get(f"/v2/{listed}?index=0").headers["X-Loom-Index"] for listed in ("clusters", "services"))
    for path in ("/v2/clusters/events", f"/v2/clusters?index={index}", f"/v2/services?index={services}"):
        answer = held.get(path)
        assert answer.status == 429 and answer.headers["Retry-After"] and "tenant_held" in answer.text, answer
    with Events(free, "/v2/clusters/events"):
        streams.pop().close()
        wait_for(lambda: opened(held, streams), 60, "room for another one")
    for stream in streams:
        stream.close()


def opened(client, streams):
    """Whether one stream more could be opened."""
    try:
        streams.append(Events(client, "/v2/clusters/events"))
    except AssertionError:
        time.sleep(1)  # it asks so often only
        return False
    return True


def test_a_tenants_waiting_takes_are_counted_and_those_for_all_are_not(paced):
    paced.sql("INSERT INTO tenant (id, name) VALUES ('takes', 'takes')")
    admin = in_tenant(paced, "takes")
    make_user(admin, "w", "provisioner")
    bound = bearer(paced, make_token(admin, "t", user="w")["token"], port="api.internal")
    assert register(bound, "p-takes").status == 200
    assert register(paced.internal, "p-any").status == 200

    def take(client, name, tenant):
        return client.post("/v2/tasks/take", {"provisionerId": name, "workerId": "w", "tenantId": tenant,
                                              "claim": True, "wait": 10}).status

    def held():
        return len(paced.client("scheduler.admin", user=None).get("/show/waiters").json["waiters"])

    with ThreadPoolExecutor(10) as pool:
        mine = [pool.submit(take, bound, "p-takes", "takes") for _ in range(3)]
        wait_for(lambda: held() == 3, what="three that wait")
        assert take(bound, "p-takes", "takes") == 429
        ours = [pool.submit(take, paced.internal, "p-any", "*") for _ in range(5)]
        assert [one.result() for one in (*mine, *ours)] == [204] * 8
