# SPDX-License-Identifier: Apache-2.0
"""Chaos: clients, a nemesis, and a checker that proves from their records that nothing was lost.

history    what clients did and saw, one JSON line each
clients    the load: they create, list, get, delete and watch clusters
nemesis    faults, the seeded schedule of them, and how each is done and undone
evidence   what is left of a run: database, machines, provisioners' journals
checker    pure functions over history and evidence; each violation is one line
measure    pure functions: how long each fault was felt
report     the table, JSON, and the picture
run        `make chaos`
"""
