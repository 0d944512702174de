/* SPDX-License-Identifier: Apache-2.0 */
/*
 * solve_case - a catalog and templates to solve.
 */
#ifndef TESTS_SOLVE_CASE_H
#define TESTS_SOLVE_CASE_H

#include "common/base/buf.h"
#include "services/scheduler/placement/hostname.h"
#include "services/scheduler/placement/solve.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

/* ---- a catalog ------------------------------------------------------------------------------ */

static const char provider[] = "{'name':'joyent'}";

static const char hardware[] =
	"[{'name':'small','providermap':{'joyent':{'flavor':'Small 2GB'}}},"
	"{'name':'medium','providermap':{'joyent':{'flavor':'Medium 4GB'}}},"
	"{'name':'large-mem','providermap':{'joyent':{'flavor':'Large 32GB'}}},"
	"{'name':'large-cpu','providermap':{'joyent':{'flavor':'Large 16GB'}}},"
	"{'name':'huge','providermap':{'joyent':{}}},"
	"{'name':'alien','providermap':{'other':{'flavor':'x'}}}]";

static const char images[] =
	"[{'name':'ubuntu12','providermap':{'joyent':{'image':'hash-ubuntu','sshuser':'ubuntu'}}},"
	"{'name':'centos6','providermap':{'joyent':{'image':'hash-centos'}}}]";

#define SERVICE(name, deps) "{'name':'" name "','dependencies':{" deps "}}"
#define RUNTIME(list)       "'runtime':{'requires':[" list "]}"

/* clang-format off */
static const char services[] =
	"["
	SERVICE("namenode", "'provides':[]") ","
	SERVICE("datanode", RUNTIME("'namenode'")) ","
	SERVICE("resourcemanager", RUNTIME("'datanode'")) ","
	SERVICE("nodemanager", RUNTIME("'resourcemanager'")) ","
	SERVICE("hbasemaster", RUNTIME("'datanode'")) ","
	SERVICE("regionserver", RUNTIME("'hbasemaster'")) ","
	SERVICE("zookeeper", "") ","
	SERVICE("reactor", RUNTIME("'zookeeper','regionserver','nodemanager'")) ","
	SERVICE("mysql", "") ","
	SERVICE("httpd", "") ","
	SERVICE("hosts", "") ","
	SERVICE("firewall", "") ","
	SERVICE("myapp-1", "'provides':['myapp'],'conflicts':['myapp-2']") ","
	SERVICE("myapp-2", "'provides':['myapp'],'conflicts':['myapp-1']") ","
	SERVICE("needs-myapp", "'install':{'requires':['myapp']}") ","
	SERVICE("uses-mysql", "'install':{'uses':['mysql']},'runtime':{'uses':['httpd']}") ","
	"{'name':'old','dependson':['zookeeper']},"
	"{'name':'web','provisioner':{'actions':{'install':{'type':'shell'},'start':{'type':'chef'},"
	"'stop':{'type':'chef'}}}},{'name':'db'},{'name':'a'},{'name':'b'},{'name':'c'},{'name':'d'},"
	"{'name':'s1'},{'name':'s2'},{'name':'s3'}]";
/* clang-format on */

/* ---- host names ----------------------------------------------------------------------------- */

static const struct {
	const char *cluster;
	int64_t id;
	int nodenum;
	const char *suffix, *want;
} hosts[] = {
	{ "123i.am-a_clusTer", 1, 1002, NULL, "i-am-a-cluster1-1002.local" },
	{ "web", 42, 1000, "", "web42-1000.local" },
	{ "web", 42, 1000, "example.com", "web42-1000.example.com" },
	{ "web", 42, 1000, ".example.com", "web42-1000.example.com" },
	{ "2024", 7, 1000, NULL, "7-1000.local" },
	{ "1-two", 7, 1000, NULL, "two7-1000.local" },
	{ "fail2", 3, 1000, NULL, "fail2-3-1000.local" },
	{ "fail", 23, 1000, NULL, "fail23-1000.local" },
	{ "a1234567890123456789012345678901234567890123456789012345678901234567890", 12345678, 1000,
	  NULL, "a123456789012345678901234567890123456789012345678-12345678-1000.local" },
	{ "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg", 12345678, 1000,
	  NULL, "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee12345678-1000.local" },
};

#endif
