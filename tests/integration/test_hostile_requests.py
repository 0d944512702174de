# SPDX-License-Identifier: Apache-2.0
"""Requests that are none, or say two things: each gets the one answer that is right, on every port."""

import pytest

from support.hostile import REQUESTS, answer_to, status_of

ELSEWHERE = (400, 401, 403, 404, 405, 413, 414, 417, 421, 431, 501, 505)  # or 200, of what has such a path


@pytest.mark.parametrize("name", REQUESTS)
def test_requests(core, name):
    data, status = REQUESTS[name]
    said = answer_to(core.ports["api.external"], data)
    assert status_of(said) == status, said[:300]
    final = said.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert final.count(b"HTTP/1.") == 1, said[:600]


@pytest.mark.parametrize("port", ("api.internal", "scheduler.admin"))
def test_other_ports(core, port):
    pid = core.pid("api"), core.pid("scheduler")
    for name, (data, status) in REQUESTS.items():
        found = status_of(answer_to(core.ports[port], data))
        assert found == status or found in ELSEWHERE, f"{name}: {found}"
    assert (core.pid("api"), core.pid("scheduler")) == pid
