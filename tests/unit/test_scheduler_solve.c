/* SPDX-License-Identifier: Apache-2.0 */
/* Worked examples of new clusters, refusals and reasons. JSON is written with ' for ". */
#include "tests/unit/solve_case.h"

/* ---- templates ------------------------------------------------------------------------------ */

static const char reactor_m[] =
	"{'name':'reactor-m','defaults':{'services':['namenode','datanode','resourcemanager',"
	"'nodemanager','hbasemaster','regionserver','zookeeper','reactor']},"
	"'compatibility':{'services':['namenode','datanode','resourcemanager','nodemanager',"
	"'hbasemaster','regionserver','zookeeper','reactor','hosts','old','needs-myapp','myapp-1',"
	"'myapp-2','uses-mysql']},"
	"'constraints':{'layout':{'mustcoexist':[['datanode','nodemanager','regionserver'],"
	"['namenode','resourcemanager','hbasemaster']],"
	"'cantcoexist':[['datanode','namenode'],['datanode','zookeeper'],['namenode','zookeeper'],"
	"['datanode','reactor'],['namenode','reactor']]},"
	"'services':{"
	"'namenode':{'hardwaretypes':['large-mem'],'imagetypes':['centos6','ubuntu12'],"
	"'quantities':{'min':1,'max':1}},"
	"'datanode':{'hardwaretypes':['medium','large-cpu'],'imagetypes':['centos6','ubuntu12'],"
	"'quantities':{'min':1,'max':50}},"
	"'zookeeper':{'hardwaretypes':['small','medium'],'imagetypes':['centos6'],"
	"'quantities':{'min':1,'max':5}},"
	"'reactor':{'hardwaretypes':['medium','large'],'quantities':{'min':1,'max':5}}}}}";

static const char simple[] =
	"{'name':'simple','defaults':{'services':['namenode','datanode'],'hardwaretype':'medium',"
	"'imagetype':'ubuntu12'},'compatibility':{'hardwaretypes':['small','medium','large-mem'],"
	"'imagetypes':['centos6','ubuntu12']}}";

static const char hadoop[] =
	"{'name':'hadoop','compatibility':{'hardwaretypes':['medium'],'imagetypes':['ubuntu12']},"
	"'constraints':{'services':{'namenode':{'quantities':{'min':1,'max':1}},"
	"'resourcemanager':{'quantities':{'min':1,'max':1}},"
	"'zookeeper':{'quantities':{'min':1,'max':1}},'hbasemaster':{'quantities':{'max':1}},"
	"'reactor':{'quantities':{'max':1}}},"
	"'layout':{'mustcoexist':[['datanode','nodemanager','regionserver']],"
	"'cantcoexist':[['namenode','secondarynamenode'],['resourcemanager','nodemanager'],"
	"['namenode','datanode'],['datanode','mysql-server'],['datanode','reactor'],"
	"['hbasemaster','regionserver']]}}}";

/* Two hundred nodes, as the last of the original's own examples; its names, shortened. */
static const char reactor2[] =
	"{'name':'reactor2','compatibility':{'hardwaretypes':['small','medium','large-mem']},"
	"'constraints':{'services':{'namenode':{'quantities':{'min':1,'max':1}},"
	"'resourcemanager':{'quantities':{'min':1,'max':1}},"
	"'zookeeper':{'quantities':{'min':1,'max':1}},"
	"'hbasemaster':{'quantities':{'min':0,'max':1}},'reactor':{'quantities':{'max':1}}},"
	"'layout':{'mustcoexist':[['datanode','nodemanager','regionserver']],"
	"'cantcoexist':[['namenode','secondarynamenode'],['resourcemanager','nodemanager'],"
	"['namenode','datanode'],['datanode','mysql'],['hbasemaster','regionserver']]}}}";

static const char doc_example[] =
	"{'name':'doc','constraints':{'layout':{'mustcoexist':[['s1','s3']],"
	"'cantcoexist':[['s1','s2'],['s2','s3']]},"
	"'services':{'s1':{'hardwaretypes':['large-cpu'],'quantities':{'max':1}},"
	"'s2':{'imagetypes':['centos6'],'quantities':{'min':1}}}}}";

#define TEMPLATE(constraints) "{'name':'T','constraints':{" constraints "}}"
#define AT_MOST(s, n)         "'" s "':{'quantities':{'max':" #n "}}"

/* ---- solving -------------------------------------------------------------------------------- */

static int run(const char *template, const char *request, struct layout **ret, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *t = unit_json(template);
	LOOM_CLEANUP(json_free) struct json *q = unit_json(request);
	LOOM_CLEANUP(json_free) struct json *p = unit_json(provider);
	LOOM_CLEANUP(json_free) struct json *h = unit_json(hardware);
	LOOM_CLEANUP(json_free) struct json *i = unit_json(images);
	LOOM_CLEANUP(json_free) struct json *s = unit_json(services);
	const struct solve_input in = {
		.request = q,
		.template = t,
		.provider = p,
		.hardwaretypes = h,
		.imagetypes = i,
		.services = s,
		.cluster_id = 42,
		.cluster_name = "demo",
	};
	/* another provider by name, for the refusals */
	if (json_get_str(q, "provider"))
		json_set_str(p, "name", json_get_str(q, "provider"));
	return solve(&in, ret, err);
}

/* "1 large-mem centos6 a,b; 2 ..." or the reason */
static void outcome(const char *template, const char *request, struct buf *out)
{
	LOOM_CLEANUP(layout_free) struct layout *l = NULL;
	struct loom_err err = { 0 };
	int r = run(template, request, &l, &err);
	if (r) {
		ck_assert_int_eq(r, err.status);
		ck_assert_int_eq(r, 400);
		buf_adds(out, err.msg);
		return;
	}
	for (size_t k = 0; k < l->n_groups; k++) {
		LOOM_CLEANUP_STR char *names = strs_join(&l->groups[k].services, ",");
		buf_addf(out, "%s%d %s %s %s", k ? "; " : "", l->groups[k].count,
		         l->groups[k].hardwaretype, l->groups[k].imagetype, names);
	}
}

static const struct {
	const char *template, *request, *want;
} cases[] = {
	/* the original's own */
	{ reactor_m, "{'numMachines':5}",
	  "3 large-cpu centos6 datanode,nodemanager,regionserver; "
	  "1 large-mem centos6 hbasemaster,namenode,resourcemanager; 1 medium centos6 reactor,zookeeper" },
	{ reactor_m, "{'numMachines':'56'}",
	  "50 large-cpu centos6 datanode,nodemanager,regionserver; "
	  "1 large-mem centos6 hbasemaster,namenode,resourcemanager; 5 medium centos6 reactor,zookeeper" },
	{ reactor_m, "{'numMachines':5,'services':['namenode','datanode','mysql','httpd']}",
	  "httpd,mysql are incompatible with the cluster; template reactor-m allows namenode, "
	  "datanode, resourcemanager, nodemanager, hbasemaster, regionserver, zookeeper, reactor, "
	  "hosts, old, needs-myapp, myapp-1, myapp-2, uses-mysql (compatibility.services)" },
	{ reactor_m, "{'numMachines':5,'services':['reactor','datanode']}",
	  "datanode requires namenode, which is not on the cluster or in the list of services to add.\n"
	  "reactor requires zookeeper, which is not on the cluster or in the list of services to add.\n"
	  "reactor requires regionserver, which is not on the cluster or in the list of services to "
	  "add.\n"
	  "reactor requires nodemanager, which is not on the cluster or in the list of services to "
	  "add." },
	{ reactor_m, "{'numMachines':5,'provider':'rackspace'}",
	  "no hardware types are available to use with template reactor-m and provider rackspace; "
	  "the provider has none" },
	{ reactor_m, "{'numMachines':5,'imagetype':'debian'}",
	  "no image types are available to use with template reactor-m and provider joyent "
	  "(asked for: debian); the provider has ubuntu12, centos6" },
	{ reactor_m, "{'numMachines':5,'hardwaretype':'huge'}",
	  "no hardware types are available to use with template reactor-m and provider joyent "
	  "(asked for: huge); the provider has small, medium, large-mem, large-cpu" },
	{ reactor_m, "{'numMachines':2,'services':['myapp-1','myapp-2']}",
	  "myapp-1 conflicts with myapp-2.\nmyapp-2 conflicts with myapp-1." },
	{ reactor_m, "{'numMachines':2,'services':['needs-myapp','myapp-2']}",
	  "2 large-cpu centos6 myapp-2,needs-myapp" },
	{ reactor_m, "{'numMachines':2,'services':['uses-mysql']}",
	  "2 large-cpu centos6 uses-mysql" },
	{ reactor_m, "{'numMachines':2,'services':['old']}",
	  "old requires zookeeper, which is not on the cluster or in the list of services to add." },
	{ simple, "{'numMachines':5}", "5 medium ubuntu12 datanode,namenode" },
	{ simple, "{'numMachines':5,'hardwaretype':'','imagetype':''}",
	  "5 medium ubuntu12 datanode,namenode" },
	{ simple, "{'numMachines':5,'hardwaretype':'large-mem'}",
	  "5 large-mem ubuntu12 datanode,namenode" },
	{ simple, "{'numMachines':5,'hardwaretype':'small','imagetype':'centos6'}",
	  "5 small centos6 datanode,namenode" },
	{ simple, "{'numMachines':5,'hardwaretype':'large-cpu'}",
	  "no hardware types are available to use with template simple and provider joyent "
	  "(asked for: large-cpu); the provider has small, medium, large-mem, large-cpu, the template "
	  "allows small, medium, large-mem" },
	{ simple, "{'numMachines':5,'services':['fakeservice']}",
	  "service fakeservice does not exist" },
	{ hadoop,
	  "{'numMachines':3,'services':['firewall','hosts','namenode','datanode','nodemanager',"
	  "'resourcemanager']}",
	  "2 medium ubuntu12 datanode,firewall,hosts,nodemanager; "
	  "1 medium ubuntu12 firewall,hosts,namenode,resourcemanager" },
	{ reactor2,
	  "{'numMachines':200,'services':['hosts','firewall','namenode','datanode','resourcemanager',"
	  "'nodemanager','hbasemaster','regionserver','zookeeper','reactor']}",
	  "1 large-mem centos6 datanode,firewall,hosts,nodemanager,reactor,regionserver,zookeeper; "
	  "198 large-mem centos6 datanode,firewall,hosts,nodemanager,regionserver; "
	  "1 large-mem centos6 firewall,hbasemaster,hosts,namenode,resourcemanager" },
	{ doc_example, "{'numMachines':5,'services':['s1','s2','s3']}",
	  "1 large-cpu centos6 s1,s3; 4 large-cpu centos6 s2" },
	/* where the original gives up too early */
	{ TEMPLATE("'services':{" AT_MOST("a", 1) "," AT_MOST("b", 1) "}"),
	  "{'numMachines':2,'services':['a','b']}",
	  "1 large-cpu centos6 a; 1 large-cpu centos6 b" },
	{ reactor_m, "{'numMachines':57}",
	  "50 large-cpu centos6 datanode,nodemanager,regionserver; "
	  "1 large-mem centos6 hbasemaster,namenode,resourcemanager; 4 medium centos6 reactor,zookeeper; "
	  "1 medium centos6 reactor; 1 medium centos6 zookeeper" },
	{ reactor_m, "{'numMachines':61}",
	  "50 large-cpu centos6 datanode,nodemanager,regionserver; "
	  "1 large-mem centos6 hbasemaster,namenode,resourcemanager; 5 medium centos6 reactor; "
	  "5 medium centos6 zookeeper" },
	/* where it leaves a service out */
	{ TEMPLATE("'layout':{'cantcoexist':[['a','b']]}"),
	  "{'numMachines':3,'services':['a','b']}",
	  "2 large-cpu centos6 a; 1 large-cpu centos6 b" },
	{ TEMPLATE("'services':{'a':{'quantities':{'min':0}},'b':{'quantities':{'min':2}}},"
	           "'layout':{'cantcoexist':[['a','b']]}"),
	  "{'numMachines':4,'services':['a','b']}",
	  "2 large-cpu centos6 a; 2 large-cpu centos6 b" },
	/* a node may have only the services without constraints */
	{ TEMPLATE("'services':{" AT_MOST("a", 1) "}"),
	  "{'numMachines':3,'services':['a','hosts']}",
	  "1 large-cpu centos6 a,hosts; 2 large-cpu centos6 hosts" },
	{ TEMPLATE("'services':{" AT_MOST("web", 2) ",'db':{'quantities':{'min':1,'max':1}}},"
	                                            "'layout':{'cantcoexist':[['web','db']]}"),
	  "{'numMachines':3,'services':['web','db']}",
	  "1 large-cpu centos6 db; 2 large-cpu centos6 web" },
	/* reasons */
	{ reactor_m, "{'numMachines':62}",
	  "62 nodes are asked for, but services datanode+nodemanager+regionserver (max 50), "
	  "hbasemaster+namenode+resourcemanager (max 1), reactor (max 5) and zookeeper (max 5) can fill "
	  "at most 61 nodes" },
	{ reactor_m, "{'numMachines':2}",
	  "services datanode+nodemanager+regionserver (min 1), hbasemaster+namenode+resourcemanager "
	  "(min 1) and zookeeper (min 1) need at least 3 nodes together, but 2 are asked for: "
	  "datanode and namenode may not share a node (cantcoexist); "
	  "datanode and zookeeper may not share a node (cantcoexist); "
	  "namenode and zookeeper may not share a node (cantcoexist); "
	  "datanode and hbasemaster have no common hardware type; "
	  "hbasemaster and zookeeper have no common hardware type" },
	{ TEMPLATE("'services':{" AT_MOST("web", 1) "," AT_MOST("db", 1) "}"),
	  "{'numMachines':3,'services':['web','db']}",
	  "3 nodes are asked for, but services db (max 1) and web (max 1) can fill at most 2 nodes" },
	{ TEMPLATE("'services':{" AT_MOST("web", 1) "}"), "{'numMachines':3,'services':['web']}",
	  "3 nodes are asked for, but service web (max 1) can fill at most 1 node" },
	{ TEMPLATE("'services':{" AT_MOST("web", 0) "}"),
	  "{'numMachines':3,'services':['web','db']}",
	  "service web is asked for but limited to at most 0 nodes" },
	{ TEMPLATE("'services':{'web':{'quantities':{'min':3,'max':2}}}"),
	  "{'numMachines':3,'services':['web','db']}",
	  "service web needs at least 3 nodes but may be on at most 2" },
	{ TEMPLATE("'services':{'web':{'quantities':{'min':3}}," AT_MOST(
		  "db", 2) "},'layout':{'mustcoexist':[['web','db']]}"),
	  "{'numMachines':3,'services':['web','db']}",
	  "service web needs at least 3 nodes, but service db, which must be on the same nodes "
	  "(mustcoexist), may be on at most 2" },
	{ TEMPLATE("'services':{'web':{'quantities':{'min':4}}}"),
	  "{'numMachines':3,'services':['web','db']}",
	  "service web needs at least 4 nodes, but 3 are asked for" },
	{ TEMPLATE("'services':{'web':{'hardwaretypes':['gpu'],'quantities':{}}}"),
	  "{'numMachines':3,'services':['web','db']}",
	  "service web accepts none of the hardware types that are available here: large-cpu, "
	  "large-mem, medium, small; it accepts gpu" },
	{ TEMPLATE("'services':{'web':{'imagetypes':['centos6']},'db':{'imagetypes':['ubuntu12']}},"
	           "'layout':{'mustcoexist':[['web','db']]}"),
	  "{'numMachines':3,'services':['web','db']}",
	  "services db and web must be on the same nodes (mustcoexist) but accept no common image type "
	  "of those available here: centos6, ubuntu12" },
	{ TEMPLATE("'layout':{'mustcoexist':[['a','b'],['b','c']],'cantcoexist':[['a','c']]}"),
	  "{'numMachines':3,'services':['a','b','c']}",
	  "services a, b and c must be on the same nodes (mustcoexist), which a cantcoexist set "
	  "forbids" },
	{ TEMPLATE("'layout':{'cantcoexist':[['a']]}"), "{'numMachines':3,'services':['a','b']}",
	  "service a may not be on any node: a cantcoexist set names it alone" },
	{ TEMPLATE("'layout':{'cantcoexist':[[]]},'services':{'a':{}}"),
	  "{'numMachines':3,'services':['a','b']}",
	  "service a may not be on any node: the template has an empty cantcoexist set, which forbids "
	  "every set of services" },
	{ TEMPLATE("'services':{'a':{'quantities':{'min':2}},'b':{'quantities':{'min':2}}},"
	           "'layout':{'cantcoexist':[['a','b']]}"),
	  "{'numMachines':3,'services':['a','b','c']}",
	  "services a (min 2) and b (min 2) need at least 4 nodes together, but 3 are asked "
	  "for: a and b may not share a node (cantcoexist)" },
	{ TEMPLATE(""), "{'numMachines':3}",
	  "no services: the request names none and template T has no default" },
	{ TEMPLATE(""), "{'numMachines':0,'services':['a']}",
	  "cluster size must be greater than 0" },
	/* odd input */
	{ "{'name':'T','defaults':{'services':[{'name':'b','config':{}},'a','a']}}",
	  "{'numMachines':1,'services':[]}", "1 large-cpu centos6 a,b" },
	{ TEMPLATE(
		  "'layout':{'mustcoexist':[['a','stranger'],[]],'cantcoexist':[['a','stranger']]}"),
	  "{'numMachines':1,'services':['a','b']}", "1 large-cpu centos6 a,b" },
};

START_TEST(worked_examples)
{
	LOOM_CLEANUP(buf_fini) struct buf got = BUF_INIT(4096);
	outcome(cases[_i].template, cases[_i].request, &got);
	ck_assert_str_eq(buf_str(&got), cases[_i].want);
}
END_TEST

START_TEST(nodes_are_complete)
{
	LOOM_CLEANUP(layout_free) struct layout *l = NULL;
	struct loom_err err = { 0 };
	ck_assert_int_eq(run(TEMPLATE("'services':{" AT_MOST("db", 1) "}"),
	                     "{'numMachines':3,'services':['web','db'],'imagetype':'ubuntu12',"
	                     "'dnsSuffix':'.example.org'}",
	                     &l, &err),
	                 0);
	ck_assert_uint_eq(l->n_nodes, 3);
	ck_assert_uint_eq(l->n_groups, 2);
	ck_assert_uint_eq(l->services.n, 2);
	for (size_t i = 0; i < 3; i++) {
		const struct layout_node *n = &l->nodes[i];
		LOOM_CLEANUP_STR char *host = loom_asprintf("demo42-%zu.example.org", 1000 + i);
		ck_assert_int_eq(n->nodenum, 1000 + (int)i);
		ck_assert_str_eq(n->hostname, host);
		ck_assert_str_eq(n->hardwaretype, "large-cpu");
		ck_assert_str_eq(n->flavor, "Large 16GB");
		ck_assert_str_eq(n->imagetype, "ubuntu12");
		ck_assert_str_eq(n->image, "hash-ubuntu");
		ck_assert_str_eq(n->sshuser, "ubuntu");
		ck_assert_uint_eq(n->services.n, i ? 1 : 2);
		ck_assert_uint_eq(n->automators.n, 2);
		ck_assert_str_eq(n->automators.v[0], "chef");
		ck_assert_str_eq(n->automators.v[1], "shell");
	}
	layout_free(l);
	l = NULL;
	ck_assert_int_eq(run(TEMPLATE(""), "{'numMachines':1,'services':['db']}", &l, &err), 0);
	ck_assert_str_eq(l->nodes[0].sshuser, "root");
	ck_assert_str_eq(l->nodes[0].hostname, "demo42-1000.local");
	ck_assert_uint_eq(l->nodes[0].automators.n, 0);
}
END_TEST

/* ---- host names ----------------------------------------------------------------------------- */

START_TEST(host_names)
{
	LOOM_CLEANUP_STR char *got =
		hostname_make(hosts[_i].cluster, hosts[_i].id, hosts[_i].nodenum, hosts[_i].suffix);
	ck_assert_str_eq(got, hosts[_i].want);
	ck_assert_uint_le(strcspn(got, "."), 63);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("solve");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, worked_examples, 0, LOOM_COUNT(cases));
	tcase_add_test(t, nodes_are_complete);
	tcase_add_loop_test(t, host_names, 0, LOOM_COUNT(hosts));
	return UNIT_RUN("scheduler_solve", t);
}
