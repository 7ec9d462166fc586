package scim

import (
	"strings"
	"testing"
)

// cornerType has what the standard's schemas lack: lists within complex values, required and immutable parts.
func cornerType(t testing.TB) *ResourceType {
	t.Helper()
	kind, err := NewResourceType("Thing", "/Things", &Schema{ID: "urn:example:2.0:Thing", Attributes: []Attribute{
		{Name: "name", Required: true},
		{Name: "one", Type: Complex, SubAttributes: []Attribute{
			{Name: "colours", MultiValued: true}, {Name: "must", Required: true}, {Name: "once", Mutability: Immutable}, {Name: "fixed", Mutability: ReadOnly}, {Name: "note"},
		}},
		{Name: "many", Type: Complex, MultiValued: true, SubAttributes: []Attribute{
			{Name: "type", CanonicalValues: []string{"car"}}, {Name: "plate", Required: true}, {Name: "colours", MultiValued: true}, {Name: "hidden", Returned: Never}, {Name: "asked", Returned: OnRequest},
		}},
		{Name: "nick", MultiValued: true},
		{Name: "code", MultiValued: true, CaseExact: true},
		{Name: "count", Type: Integer},
		{Name: "sum", Type: Decimal},
	}}, Extension{Schema: EnterpriseUser()})
	if err != nil {
		t.Fatal(err)
	}
	return kind
}

func TestPatchCorners(t *testing.T) {
	kind := cornerType(t)
	const n = `'name':'n'`
	const one = `,'one':{'must':'m','once':'o','colours':['red','blue']}`
	for _, c := range []struct{ name, before, ops, want string }{
		{"names in another spelling", n, `{'op':'add','value':{'ONE':{'MUST':'m','Colours':['red']},'MANY':[{'PLATE':'p','TYPE':'car'}]}}`, n + `,'one':{'must':'m','colours':['red']},'many':[{'plate':'p','type':'car'}]`},
		{"a list in a value: add", n + one, `{'op':'add','path':'one.colours','value':['Red','green']}`, n + `,'one':{'must':'m','once':'o','colours':['red','blue','Red','green']}`},
		{"a list in a value: remove one", n + one, `{'op':'remove','path':'one.colours','value':['red']}`, n + `,'one':{'must':'m','once':'o','colours':['blue']}`},
		{"a list in a value: remove all", n + one, `{'op':'remove','path':'one.colours'}`, n + `,'one':{'must':'m','once':'o'}`},
		{"a required part cannot go", n + one, `{'op':'remove','path':'one.must'}`, "mutability: operation 1: one.must is required and cannot be removed"},
		{"a required part must come", n, `{'op':'add','path':'one','value':{'note':'x'}}`, "invalidValue: one.must is required"},
		{"a required part that is there need not come again", n + one, `{'op':'replace','path':'one','value':{'note':'x'}}`, n + `,'one':{'must':'m','once':'o','colours':['red','blue'],'note':'x'}`},
		{"nor with the selected", n + `,'many':[{'plate':'p'}]`, `{'op':'add','path':'many[plate eq \'p\']','value':{'type':'car'}}`, n + `,'many':[{'plate':'p','type':'car'}]`},
		{"a required part in a list", n + `,'many':[{'plate':'p'}]`, `{'op':'add','path':'many','value':[{'type':'car'}]}`, "invalidValue: many.plate is required"},
		{"a required part may come later", n, `{'op':'add','path':'one.note','value':'x'},{'op':'add','path':'one.must','value':'m'}`, n + `,'one':{'note':'x','must':'m'}`},
		{"an immutable part stays", n + one, `{'op':'replace','path':'one.once','value':'p'}`, "mutability: operation 1: one.once cannot be changed once it is set"},
		{"an immutable part in an object", n + one, `{'op':'replace','path':'one','value':{'must':'m','once':'p'}}`, "mutability: operation 1: one.once cannot be changed once it is set"},
		{"the same immutable part", n + one, `{'op':'replace','path':'one.once','value':'o'}`, n + one},
		{"a read-only part among others", n + one, `{'op':'replace','value':{'one':{'must':'q','fixed':'f'},'one.fixed':'f'}}`, n + `,'one':{'must':'q','once':'o','colours':['red','blue']}`},
		{"replacing by an empty object changes nothing", n + one, `{'op':'replace','path':'one','value':{}}`, n + one},
		{"two conditions make a value", n, `{'op':'add','path':'many[type eq \'car\' and plate eq \'p\'].colours','value':['red']}`, n + `,'many':[{'colours':['red'],'type':'car','plate':'p'}]`},
		{"the same condition twice does not", n, `{'op':'add','path':'many[type eq \'car\' and type eq \'p\'].plate','value':'x'}`, "noTarget: operation 1: no value of many is selected by the filter in the path"},
		{"a value without its required part is not made", n, `{'op':'add','path':'many[type eq \'car\'].colours','value':['red']}`, "noTarget: operation 1: no value of many is selected by the filter in the path"},
		{"an or does not make one", n, `{'op':'add','path':'many[type eq \'car\' or type eq \'bus\'].plate','value':'x'}`, "noTarget: operation 1: no value of many is selected by the filter in the path"},
		{"a whole value is made", n, `{'op':'replace','path':'many[type eq \'car\']','value':[{'plate':'p'}]}`, n + `,'many':[{'plate':'p','type':'car'}]`},
		{"a whole value keeps what selected it", n + `,'many':[{'type':'car','plate':'p','colours':['red']}]`, `{'op':'replace','path':'many[type eq \'car\']','value':{'plate':'q'}}`, n + `,'many':[{'type':'car','plate':'q'}]`},
		{"add to the selected", n + `,'many':[{'type':'car','plate':'p'}]`, `{'op':'add','path':'many[type eq \'CAR\']','value':{'plate':'p','colours':['red']}}`, n + `,'many':[{'type':'car','plate':'p','colours':['red']}]`},
		{"replace the selected by null", n + `,'many':[{'type':'car','plate':'p'}]`, `{'op':'replace','path':'many[type eq \'car\']','value':null}`, n},
		{"replace the selected by no list", n + `,'many':[{'type':'car','plate':'p'}]`, `{'op':'replace','path':'many[type eq \'car\']','value':[]}`, n},
		{"add to the list of the selected", n + `,'many':[{'plate':'p','colours':['a']}]`, `{'op':'add','path':'many[plate eq \'p\'].colours','value':'b'}`, n + `,'many':[{'plate':'p','colours':['a','b']}]`},
		{"everywhere", n + `,'many':[{'plate':'p'},{'plate':'q'}]`, `{'op':'add','path':'many.type','value':'bus'}`, n + `,'many':[{'plate':'p','type':'bus'},{'plate':'q','type':'bus'}]`},
		{"everywhere and nowhere", n, `{'op':'remove','path':'many.type'}`, n},
		{"simple values by a filter", n + `,'nick':['a','b']`, `{'op':'remove','path':'nick[value eq \'A\']'}`, n + `,'nick':['b']`},
		{"simple values replaced by a filter", n + `,'nick':['a','b']`, `{'op':'replace','path':'nick[value eq \'a\']','value':'c'}`, n + `,'nick':['c','b']`},
		{"simple values added", n + `,'nick':['a']`, `{'op':'add','path':'nick','value':'a'},{'op':'add','path':'nick','value':['b']},{'op':'remove','path':'nick','value':['a']}`, n + `,'nick':['b']`},
		{"numbers", n, `{'op':'add','value':{'count':'7','sum':'1.50'}},{'op':'replace','path':'count','value':3.0}`, n + `,'count':3.0,'sum':1.50`},
		{"not whole", n, `{'op':'add','path':'count','value':3.5}`, "invalidValue: operation 1: count must be of the type integer; it is a number"},
		{"too large to be whole", n, `{'op':'add','path':'count','value':1e30}`, "invalidValue: operation 1: count must be of the type integer; it is a number"},
		{"not a number", n, `{'op':'add','path':'sum','value':'1,5'}`, "invalidValue: operation 1: sum must be of the type decimal; it is a string"},
		{"an extension replaced by null", n + `,` + enterprise + `:{'department':'D'}`, `{'op':'replace','value':{` + enterprise + `:null}}`, n},
		{"an extension added as null", n + `,` + enterprise + `:{'department':'D'}`, `{'op':'add','value':{` + enterprise + `:null}}`, n + `,` + enterprise + `:{'department':'D'}`},
		{"the core as an object", n, `{'op':'add','path':'urn:example:2.0:Thing','value':{'nick':['a']}}`, n + `,'nick':['a']`},
		{"the core removed", n, `{'op':'remove','path':'urn:example:2.0:Thing'}`, "noTarget: operation 1: a removal needs the path of an attribute"},
		{"an extension's names with its URN or a dot", n, `{'op':'add','value':{` + enterprise + `:{'manager.value':'m','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department':'D','hat':'h'}}}`, n + `,` + enterprise + `:{'manager':{'value':'m'},'department':'D'}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			after, _, _, err := patched(t, kind, `{`+c.before+`}`, escaped(c.ops))
			if err != nil {
				if got := errorText(t, err); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
				return
			}
			if !strings.HasPrefix(c.want, "'") {
				t.Fatalf("got %s, want %s", text(t, after), c.want)
			}
			after = withMember(after, "schemas", nil)
			if want := object(t, `{`+c.want+`}`); !Equal(after, want) {
				t.Errorf("got  %s\nwant %s", text(t, after), text(t, want))
			}
			for name := range after.All() {
				if a := find(append(kind.core.Attributes, EnterpriseUser().Attributes...), name); a != nil && a.Name != name {
					t.Errorf("%s is not spelled %s", name, a.Name)
				}
			}
		})
	}
}

func TestProjectParts(t *testing.T) {
	kind := cornerType(t)
	o := object(t, `{'name':'n','many':[{'plate':'p','hidden':'h','asked':'a'},{'hidden':'h'}],'nick':['a']}`)
	for attributes, want := range map[string]string{
		"":                        `{'name':'n','many':[{'plate':'p'}],'nick':['a']}`,
		"many.asked,many.hidden":  `{'many':[{'asked':'a'}]}`,
		"many.asked, many.plate":  `{'many':[{'plate':'p','asked':'a'}]}`,
		"urn:example:2.0:Thing":   `{'name':'n','many':[{'plate':'p'}],'nick':['a']}`,
		"urn:example:2.0:Thing:x": `{}`,
	} {
		p, err := ParseProjection(attributes, "", kind.URNs()...)
		if err != nil {
			t.Fatal(err)
		}
		if got := kind.Project(o, p); !Equal(got, object(t, want)) {
			t.Errorf("%s: got %s, want %s", attributes, text(t, got), want)
		}
	}
	if kind.Asks(Projection{}, Path{Name: "shoe"}) {
		t.Error("what there is not is not asked for")
	}
}

func TestOrderOfTypes(t *testing.T) {
	kind := cornerType(t)
	for _, c := range []struct {
		by, x, y string
		want     int
	}{
		{"count", `{'count':2}`, `{'count':10}`, -1}, {"sum", `{'sum':1.5}`, `{'sum':1.50}`, 0}, {"code", `{'code':['a']}`, `{'code':['B']}`, 1}, {"nick", `{'nick':['a']}`, `{'nick':['B']}`, -1},
	} {
		order, err := kind.Order(Path{Name: c.by}, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := order(object(t, c.x), object(t, c.y)); got != c.want {
			t.Errorf("%s: got %d, want %d", c.by, got, c.want)
		}
	}
}

// TestPrinted prints what no parser made.
func TestPrinted(t *testing.T) {
	f := Compare{Path{Name: "a"}, Eq, 5}
	if got, want := f.String(), "a eq null"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := And(nil).String() + (And{Or{f}}).String(); got != "a eq null" {
		t.Errorf("got %s", got)
	}
	p := &Patch{[]Operation{{Op: Remove, Path: Path{Name: "a"}}}}
	data, err := p.MarshalJSON()
	if want := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"a"}]}`; err != nil || string(data) != want {
		t.Errorf("got %s, %v, want %s", data, err, want)
	}
	if _, err := Convert(func() {}); err == nil {
		t.Error("a function is no value")
	}
	kind := cornerType(t)
	for _, f := range []Filter{And{nil}, Or{nil}, Not{}} {
		if _, err := kind.Compile(f); err == nil {
			t.Errorf("%T of nothing must be refused", f)
		}
	}
	deep := Filter(Present{Path{Name: "a"}})
	for range 1000 {
		deep = Not{deep}
	}
	if _, err := kind.Compile(deep); err == nil {
		t.Error("a filter that is too deep must be refused")
	}
}
