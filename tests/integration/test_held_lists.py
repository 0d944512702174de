# SPDX-License-Identifier: Apache-2.0
"""Blocking queries: clusters and lists that are held until something changes."""


from support import wait_for
from support.api import Api
from support.lists import held, held_now, held_requests, index_of, selects_of_a_while


def at_rest(lab):
    """A cluster that nothing happens to any more: it is planned, and nobody works on it."""
    cluster = lab.create()
    with lab.user.events(cluster) as stream:
        stream.wait_type("plan")
    return cluster


def test_a_query_is_held_until_the_cluster_changes(lab, core):
    cluster = at_rest(lab)
    for path in (f"/v2/clusters/{cluster}", f"/v2/clusters/{cluster}/status"):
        index = index_of(lab.user.get(path))
        assert index == lab.user.cluster(cluster)["lastEvent"]
        # what has happened already is told at once, and a wait of nothing is over at once
        assert index_of(lab.user.get(f"{path}?index=0&wait=50s", timeout=45)) == index
        assert index_of(lab.user.get(f"{path}?index={index}&wait=0")) == index
        assert index_of(lab.user.get(f"{path}?index={index}&wait=200ms")) == index
        quiet = held_requests(core)
        answer = held(lab.user, f"{path}?index={index}&wait=50s")
        wait_for(lambda before=quiet: held_requests(core) > before)
        assert not answer.done()
        assert lab.user.put(f"/v2/clusters/{cluster}/labels", {"labels": {"at": path[-6:]}}).status == 200
        assert index_of(answer.result(60)) == index + 1
    assert answer.result().json["clusterid"] == cluster
    # followed to its end, each index newer than the one before
    lab.worker()
    index, status = 0, None
    while status != "active":
        answer = lab.user.get(f"/v2/clusters/{cluster}/status?index={index}&wait=30s")
        assert index_of(answer) > index
        index, status = index_of(answer), answer.json["status"]
    headed = lab.user.request("HEAD", f"/v2/clusters/{cluster}?index={index}&wait=1ms")
    assert headed.status == 200 and headed.body == b"" and int(headed.headers["X-Loom-Index"]) == index


def test_a_query_hears_of_what_another_copy_did(lab, core):
    core.up("api2")
    cluster = at_rest(lab)
    other = Api(f"http://127.0.0.1:{core.ports['api2.external']}", lab.user.identity["X-Loom-UserID"], lab.name)
    for number in range(3):
        index = index_of(lab.user.get(f"/v2/clusters/{cluster}"))
        quiet = held_requests(core)
        answer = held(lab.user, f"/v2/clusters/{cluster}/status?index={index}&wait=50s")
        wait_for(lambda before=quiet: held_requests(core) > before)
        assert other.put(f"/v2/clusters/{cluster}/labels", {"labels": {"n": str(number)}}).status == 200
        assert index_of(answer.result(60)) == index + 1
    core.stop("api2")


def test_queries_that_cannot_be_held(lab, core):
    cluster = at_rest(lab)
    path = f"/v2/clusters/{cluster}"
    index = index_of(lab.user.get(path))
    for query, status, word in ((f"index={index + 1}", 410, "lastEvent"), ("index=x", 400, "number"),
                                ("index=-1", 400, "number"), (f"index={index}&wait=51s", 400, "50s"),
                                (f"index={index}&wait=soon", 400, "30s"), (f"index={index}&wait=-1", 400, "30s")):
        for where in (path, path + "/status"):
            answer = lab.user.get(f"{where}?{query}")
            assert answer.status == status and word in answer.text, (query, answer)
    stranger = lab.user.as_user("bob", lab.name)
    assert stranger.get(f"{path}?index={index}").status == 404
    # one that gives up is let go, and a server that ends answers what it holds
    quiet = held_requests(core)
    assert lab.user.get(f"{path}?index={index}", timeout=1).status == 0
    wait_for(lambda: held_requests(core) <= quiet)
    answer = held(lab.user, f"{path}?index={index}&wait=50s")
    wait_for(lambda: held_requests(core) > quiet)
    core.stop("api")
    core.start("api")
    assert index_of(answer.result(60)) == index


def mark(client, cluster, value):
    assert client.put(f"/v2/clusters/{cluster}/labels", {"labels": {"mark": value}}).status == 200


def test_a_list_is_held_until_something_in_it_changes(lab, core):
    assert "X-Loom-Index" not in lab.user.get("/v2/clusters").headers  # it costs more than a page
    empty = index_of(lab.user.get("/v2/clusters?index=0&wait=50s", timeout=45))
    answer = held_now(core, lab.user, f"/v2/clusters?index={empty}&wait=50s")
    first = at_rest(lab)
    index = index_of(answer.result(60))
    assert index > empty and [one["id"] for one in answer.result().json] == [first]
    second = at_rest(lab)
    path = "/v2/clusters?label=mark=a&limit=10&fields=id"
    # what has happened already is told at once, and a wait of nothing is over at once
    assert index_of(lab.user.get(f"{path}&index={index}&wait=50s", timeout=45)) > index
    index = index_of(lab.user.get(f"{path}&index=0"))
    for wait in ("0", "200ms"):
        answer = lab.user.get(f"{path}&index={index}&wait={wait}")
        assert index_of(answer) == index and answer.json == []
    for turn, cluster in enumerate((first, second, first)):
        answer = held_now(core, lab.user, f"{path}&index={index}&wait=50s")
        assert not answer.done()
        mark(lab.user, cluster, "ab"[turn // 2])
        assert index_of(answer.result(60)) == index + 1
        index += 1
        assert [one["id"] for one in answer.result().json] == [[first], [second, first], [second]][turn]
    # a number that was never there, as when a backup was brought back, is told how things are
    assert index_of(lab.user.get(f"{path}&index={index + 9}&wait=50s", timeout=45)) == index
    headed = lab.user.request("HEAD", f"{path}&index={index}&wait=1ms")
    assert headed.status == 200 and headed.body == b"" and int(headed.headers["X-Loom-Index"]) == index
    for query, word in (("index=x", "whole number"), ("index=-1", "index"), (f"index={index}&wait=51s", "50s"),
                        (f"index={index}&wait=soon", "30s"), (f"index={index}&limt=1", "limit"),
                        (f"index={index}&status=odd", "pending")):
        answer = lab.user.get(f"/v2/clusters?{query}")
        assert answer.status == 400 and word in answer.text, (query, answer)


def test_a_list_that_is_held_hears_of_what_its_reader_may_see(lab, core):
    """Whoever sees his own clusters alone is not told that others have any."""
    bob, path = lab.user.as_user("bob", lab.name), "/v2/clusters?fields=id"
    bobs = bob.create_cluster("bobs", "empty", 1)
    mine = at_rest(lab)
    wait_for(lambda: bob.get(f"/v2/clusters/{bobs}").json["nodes"], what="the plan of bob's")
    his, all_of_them = (index_of(who.get(f"{path}&index=0")) for who in (bob, lab.admin))
    assert his < all_of_them
    answers = [held_now(core, who, f"{path}&index={index}&wait={wait}")
               for who, index, wait in ((bob, his, "3s"), (lab.admin, all_of_them, "50s"))]
    mark(lab.user, mine, "a")
    assert index_of(answers[1].result(60)) == all_of_them + 1 and len(answers[1].result().json) == 2
    assert index_of(answers[0].result(60)) == his and [one["id"] for one in answers[0].result().json] == [bobs]
    answer = held_now(core, bob, f"{path}&index={his}&wait=50s")
    mark(bob, bobs, "a")
    assert index_of(answer.result(60)) == his + 1


def test_a_list_hears_of_what_another_copy_did_and_ends_with_its_own(lab, core):
    core.up("api2")
    cluster = at_rest(lab)
    other = Api(f"http://127.0.0.1:{core.ports['api2.external']}", lab.user.identity["X-Loom-UserID"], lab.name)
    index = index_of(lab.user.get("/v2/clusters?index=0"))
    for number in range(3):
        assert index_of(other.get(f"/v2/clusters?index={index}&wait=0")) == index  # all copies count alike
        answer = held_now(core, lab.user, f"/v2/clusters?index={index}&wait=50s")
        mark(other, cluster, str(number))
        assert index_of(answer.result(60)) == index + 1
        index += 1
    core.stop("api2")
    quiet = held_requests(core)
    assert lab.user.get(f"/v2/clusters?index={index}", timeout=1).status == 0
    wait_for(lambda: held_requests(core) <= quiet)
    answer = held_now(core, lab.user, f"/v2/clusters?index={index}&wait=50s")
    core.stop("api")
    core.start("api")
    assert index_of(answer.result(60)) == index


def test_many_held_lists_cost_what_one_costs(lab, core):
    """While nothing happens, and when something does, but for the answers."""
    cluster, asked = at_rest(lab), []
    index = index_of(lab.user.get("/v2/clusters?index=0"))
    for number in (1, 40):
        quiet = held_requests(core)
        answers = [held(lab.user, f"/v2/clusters?index={index}&wait=50s") for _ in range(number)]
        wait_for(lambda quiet=quiet, number=number: held_requests(core) >= quiet + number)
        asked.append(min(selects_of_a_while(core) for _ in range(3)))  # at first they look, each for itself
        mark(lab.user, cluster, str(number))
        assert {index_of(answer.result(60)) for answer in answers} == {index + 1}
        index += 1
    assert asked[1] < asked[0] + 40, asked  # others ask, too
