package server_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dirsync/scim"
	"dirsync/scim/server"
)

var (
	oracleAt    = flag.String("oracle", "", "the folder in which scim-patch is installed, from scim/server/oracle; .ci/run realservers does that")
	oracleCases = flag.Int("oracle-cases", 20_000, "how many PATCH requests are put to scim-patch")
	oracleSeed  = flag.Uint64("oracle-seed", 1, "makes other requests")
)

// TestPatchOracle puts random PATCH requests to package scim, to the handler, and to scim-patch, an implementation that
// knows no schemas and was written by others. Where scim-patch differs, a rule says which sentence of the standard it does
// not follow, and makes of its answer the one that the sentence calls for: the comparison stays exact.
//
//	go test ./scim/server -run TestPatchOracle -oracle FOLDER -oracle-cases 200000 -oracle-seed 7
func TestPatchOracle(t *testing.T) {
	o := startOracle(t)
	r := newRig(t, func(c *server.Config) { c.Observe = nil })
	g := &patchGenerator{Rand: rand.New(rand.NewPCG(*oracleSeed, 1))}
	for i := range 6 {
		g.people = append(g.people, r.user(fmt.Sprint("member", i)))
	}
	kinds := map[string]*scim.ResourceType{
		"/Users":  published(r, "User", scim.UserURN, scim.EnterpriseURN, acmeURN),
		"/Groups": published(r, "Group", scim.GroupURN),
	}

	var asked []*question
	for n := range *oracleCases {
		asked = append(asked, g.request(t, r, kinds, n)...)
	}
	o.ask(t, asked)
	used, wrong := map[string]int{}, 0
	for _, q := range asked {
		if why := q.compare(used); why != "" {
			if wrong++; wrong <= 20 {
				t.Error(why)
			}
		}
	}
	t.Logf("%d requests with %d operations; %d answers differ", *oracleCases, len(asked), wrong)
	for _, rule := range oracleRules() {
		t.Logf("%6d  %s", used[rule.name], rule.name)
		if used[rule.name] == 0 && *oracleCases >= 20_000 {
			t.Errorf("the rule %q is not needed; take it away", rule.name)
		}
	}
}

// published is a resource type as the server describes it.
func published(r *rig, name, core string, extensions ...string) *scim.ResourceType {
	r.t.Helper()
	read := func(urn string) *scim.Schema {
		s, err := scim.ReadSchema(r.do("GET", "/Schemas/"+url.PathEscape(urn), "").want(200).body)
		if err != nil {
			r.t.Fatal(err)
		}
		return s
	}
	var more []scim.Extension
	for _, urn := range extensions {
		more = append(more, scim.Extension{Schema: read(urn)})
	}
	kind, err := scim.NewResourceType(name, "/"+name+"s", read(core), more...)
	if err != nil {
		r.t.Fatal(err)
	}
	return kind
}

// question is one operation on one resource, what package scim made of it, and what the oracle said.
type question struct {
	before     *scim.Object
	sent, told operation
	selected   []int        // the values that the filter in the path selects
	after      *scim.Object // nil if it was refused
	refused    string       // the scimType
	answer     answer
}

// answer is one line of the oracle.
type answer struct {
	Resource *scim.Object `json:"resource"`
	Error    string       `json:"error"`
	SCIMType string       `json:"scimType"`
}

// request makes up a resource and a request, sends it to the handler, and compares what comes back with what package scim
// makes of the operations, in one request and one by one. It returns the questions for the oracle.
func (g *patchGenerator) request(t *testing.T, r *rig, kinds map[string]*scim.ResourceType, n int) (asked []*question) {
	t.Helper()
	endpoint := "/Users"
	if g.IntN(4) == 0 {
		endpoint = "/Groups"
	}
	kind := kinds[endpoint]
	made := r.do("POST", endpoint, plainJSON(t, g.resource(endpoint, n))).want(201)
	before := bare(made.body)
	var ops []string
	now := before
	var failed error
	for range 1 + g.IntN(4) {
		q := &question{before: now}
		q.told, q.sent = g.operation(endpoint, now)
		ops = append(ops, plainJSON(t, q.sent.object()))
		after, err := applied(kind, now, patch(ops[len(ops)-1]))
		if q.after = bare(after); err != nil {
			q.after, q.refused, failed = nil, scim.AsError(err).SCIMType, err
		}
		if selects := q.path(); selects.Filter != nil {
			selects.Sub = ""
			q.selected = selection(t, kind, now.List(selects.Name), selects)
		}
		asked = append(asked, q)
		if err != nil {
			break
		}
		now = q.after
	}
	body := patch(strings.Join(ops, ","))
	whole, err := applied(kind, before, body)
	path := endpoint + "/" + made.id()
	a := r.do("PATCH", path, body)
	switch {
	case failed != nil:
		if err == nil || a.status != scim.AsError(failed).Status || text(t, a.at("scimType")) != "'"+scim.AsError(failed).SCIMType+"'" || scim.AsError(err).SCIMType != scim.AsError(failed).SCIMType {
			t.Fatalf("%s of %s\none by one: %v; together: %v; by HTTP: %d %s", body, text(t, before), failed, err, a.status, a.text)
		}
		if got := r.do("GET", path, "").want(200); !scim.Equal(shown(got.body, before), shown(before, before)) {
			t.Fatalf("%s of %s was refused, and made %s", body, text(t, before), got.text)
		}
	case err != nil || !scim.Equal(set(bare(whole)), set(now)):
		t.Fatalf("%s of %s\none by one: %s\ntogether: %v %s", body, text(t, before), text(t, now), err, text(t, whole))
	case a.status != 200 || !scim.Equal(shown(a.body, before), shown(now, before)):
		t.Fatalf("%s of %s\nwant %s\ngot  %d %s", body, text(t, before), text(t, now), a.status, a.text)
	}
	r.do("DELETE", path, "").want(204)
	return asked
}

// selection are the places of the values that a filter selects.
func selection(t *testing.T, kind *scim.ResourceType, list []any, path scim.Path) (hits []int) {
	t.Helper()
	test, err := kind.Compile(scim.ValuePath{Path: path})
	if err != nil {
		return nil // It selects nothing, and is refused for another reason.
	}
	for i, e := range list {
		if test.Match(object(path.Name, []any{e})) {
			hits = append(hits, i)
		}
	}
	return hits
}

// bare is a resource without what only a server knows.
func bare(o *scim.Object) *scim.Object {
	if o == nil {
		return nil
	}
	o = o.Clone()
	for _, name := range []string{"schemas", "id", "meta", "groups"} {
		o.Delete(name)
	}
	return o
}

// set is a resource whose lists are sorted, because their order means nothing.
func set(o *scim.Object) *scim.Object {
	o = o.Clone()
	key := func(e any) string {
		one, ok := e.(*scim.Object)
		if !ok {
			return fmt.Sprint(e)
		}
		var parts []string
		for name, v := range one.All() {
			parts = append(parts, fmt.Sprint(name, "=", v))
		}
		slices.Sort(parts)
		return strings.Join(parts, " ")
	}
	for name, v := range o.All() {
		switch v := v.(type) {
		case []any:
			v = slices.Clone(v)
			slices.SortFunc(v, func(a, b any) int { return strings.Compare(key(a), key(b)) })
			o.Set(name, v)
		case *scim.Object:
			o.Set(name, set(v))
		}
	}
	return o
}

// shown is a resource in the form in which answers of the handler can be compared: members are a set of ids, and of whom it
// does not say whether they are active, they are what they were before.
func shown(o, before *scim.Object) *scim.Object {
	o = normal(set(bare(o)))
	if _, said := o.Get("active"); !said {
		was, _ := before.Get("active")
		o.Set("active", was)
	}
	return o
}

func plainJSON(t testing.TB, o *scim.Object) string {
	t.Helper()
	b, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// oracle is the process that answers.
type oracle struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func startOracle(t *testing.T) *oracle {
	t.Helper()
	if *oracleAt == "" {
		t.Skip("scim-patch is not installed; .ci/run realservers installs it and runs this")
	}
	program, err := os.ReadFile(filepath.Join("oracle", "apply.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "--input-type=module", "--eval", string(program))
	cmd.Dir = *oracleAt // where its packages are
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // the program ends with it
		_ = cmd.Wait()
		if t.Failed() && said.Len() > 0 {
			t.Logf("node said:\n%s", said.String())
		}
	})
	return &oracle{in, bufio.NewReader(out)}
}

// ask puts all questions, and reads the answers meanwhile.
func (o *oracle) ask(t *testing.T, asked []*question) {
	t.Helper()
	go func() {
		w := bufio.NewWriter(o.in)
		for _, q := range asked {
			line, err := scim.NewObject(scim.Member{Name: "resource", Value: q.before}, scim.Member{Name: "operation", Value: q.told.flat().object()}).MarshalJSON()
			if err == nil {
				_, err = w.Write(append(line, '\n'))
			}
			if err != nil {
				return // The answers will end too early.
			}
		}
		_ = w.Flush()
	}()
	for i, q := range asked {
		line, err := o.out.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &q.answer)
		}
		if err != nil {
			t.Fatalf("answer %d of %d: %v", i+1, len(asked), err)
		}
	}
}
