package scim

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{}`, `{}`},
		{` [ ] `, `[]`},
		{`{"b":1,"A":{"c":[true,false,null,"x"]},"n":-0.50e+1}`, `{"b":1,"A":{"c":[true,false,null,"x"]},"n":-0.50e+1}`},
		{`"\u0041\n\/\ud83d\ude00é<>&"`, `"A\n/😀é<>&"`},
		{`12345678901234567890`, `12345678901234567890`},
	} {
		v, err := Read([]byte(c.in), Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		got, err := appendValue(nil, v)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.in, got, err, c.want)
		}
	}
}

func TestReadErrors(t *testing.T) {
	many := `{`
	for i := range 30 {
		many += `"k` + strings.Repeat("x", i) + `":1,`
	}
	for _, c := range []struct{ in, want string }{
		{``, `the body is not JSON: it ends too early, at byte 1`},
		{`{"a":1} x`, `the body is not JSON: more text after the end of the JSON value at byte 9`},
		{`{"a":1,}`, `the body is not JSON: a name in quotes is missing at byte 8`},
		{`{"a" 1}`, `the body is not JSON: a colon is missing at byte 6`},
		{`{"a":1 "b":2}`, `the body is not JSON: a comma or } is missing at byte 8`},
		{`[1 2]`, `the body is not JSON: a comma or ] is missing at byte 4`},
		{`{"userName":"a","USERNAME":"b"}`, `the name "USERNAME" is given twice, the second time at byte 17`},
		{many + `"KXX":2}`, `the name "KXX" is given twice, the second time at byte 617`},
		{`"a`, `the body is not JSON: a string without its closing quote at byte 3`},
		{"\"a\nb\"", `the body is not JSON: a control character in a string at byte 3`},
		{`"\ud800x"`, `the body is not JSON: a malformed escape in a string at byte 2`},
		{`"\udc00"`, `the body is not JSON: a malformed escape in a string at byte 2`},
		{`"\q"`, `the body is not JSON: a malformed escape in a string at byte 2`},
		{"\"\xff\"", `byte 2 of the body is not UTF-8`},
		{`01`, `the body is not JSON: a malformed number at byte 1`},
		{`-`, `the body is not JSON: a malformed number at byte 1`},
		{`1e999`, `the body is not JSON: a number that is too long or too large at byte 1`},
		{strings.Repeat("9", 65), `the body is not JSON: a number that is too long or too large at byte 1`},
		{`nul`, `the body is not JSON: an unexpected character at byte 1`},
		{strings.Repeat("[", 33), `the body is nested deeper than 32 levels at byte 33`},
		{strings.Repeat("[", 1_000_000), `the body is nested deeper than 32 levels at byte 33`},
	} {
		_, err := Read([]byte(c.in), Limits{})
		if got, want := errorText(t, err), "invalidSyntax: "+c.want; got != want {
			t.Errorf("%.40s: got %s, want %s", c.in, got, want)
		}
	}
	for _, c := range []struct {
		in     string
		limits Limits
		status int
		want   string
	}{
		{`[1,2,3]`, Limits{Bytes: 6}, 413, `the body has 7 bytes; at most 6 are taken`},
		{`[1,2,3]`, Limits{Values: 3}, 413, `the body holds more than 3 values`},
		{`{"a":1,"b":2}`, Limits{Names: 1}, 400, `invalidSyntax: an object has more than 1 names at byte 8`},
	} {
		_, err := Read([]byte(c.in), c.limits)
		if got := errorText(t, err); got != c.want || AsError(err).Status != c.status {
			t.Errorf("%s: got %d %s, want %d %s", c.in, AsError(err).Status, got, c.status, c.want)
		}
	}
	if _, err := ReadObject([]byte(`[]`), Limits{}); errorText(t, err) != "invalidSyntax: the body is a list; it must be a JSON object" {
		t.Error(err)
	}
}

func TestObject(t *testing.T) {
	var none *Object
	if _, ok := none.Get("a"); ok || none.Len() != 0 || none.Object("a") != nil || none.List("a") != nil || none.Clone().Len() != 0 {
		t.Error("a nil object must read as an empty one")
	}
	o := object(t, `{'UserName':'a','n':'12','active':'TRUE','list':['x',1,'y'],'one':'z','in':{'a':1}}`)
	o.Set("username", "b")
	if s, _ := o.Text("USERNAME"); s != "b" || text(t, o)[:16] != `{'UserName':'b',` {
		t.Errorf("got %s", text(t, o))
	}
	if n, ok := o.Int("n"); n != 12 || !ok {
		t.Errorf("got %d, %v", n, ok)
	}
	if b, ok := o.Bool("active"); !b || !ok {
		t.Error("active must be true")
	}
	if got := strings.Join(append(o.Texts("list"), o.Texts("one")...), ""); got != "xyz" {
		t.Errorf("got %s", got)
	}
	if !o.Delete("N") || o.Delete("n") || o.Len() != 5 {
		t.Errorf("got %s", text(t, o))
	}
	copied := o.Clone()
	copied.Object("in").Set("a", "changed")
	if Equal(o, copied) || text(t, o.Object("in")) != `{'a':1}` {
		t.Error("a clone must not share anything")
	}
	if _, ok := o.Get("\u212Ane"); ok || sameName("k", "\u212A") {
		t.Error("the Kelvin sign is not a k")
	}
	var p Object
	if err := json.Unmarshal([]byte(`{"a":[1]}`), &p); err != nil || text(t, &p) != `{'a':[1]}` {
		t.Errorf("got %s, %v", text(t, &p), err)
	}
	if _, err := NewObject(Member{"a", 5}).MarshalJSON(); err == nil {
		t.Error("a Go int must be refused")
	}
	v, err := Convert(map[string]any{"a": []int{1}})
	if err != nil || text(t, v) != `{'a':[1]}` {
		t.Errorf("got %v, %v", v, err)
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{'a':1,'B':2}`, `{'b':2.0,'A':1}`, true}, {`[1,2]`, `[2,1]`, false}, {`'a'`, `'A'`, false}, {`null`, `null`, true}, {`null`, `{}`, false},
		{`{}`, `[]`, false}, {`9007199254740993`, `9007199254740992`, false}, {`1e2`, `100`, true}, {`true`, `'true'`, false}, {`{'a':1}`, `{'a':1,'b':null}`, false},
	} {
		a, b := object(t, `{'v':`+c.a+`}`), object(t, `{'v':`+c.b+`}`)
		if got := Equal(a, b); got != c.want || Equal(b, a) != c.want {
			t.Errorf("%s and %s: got %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestFoldCase(t *testing.T) {
	for _, c := range [][2]string{{"ABC", "abc"}, {"ÉCOLE", "école"}, {"ΣΑΣ", "σας"}, {"K", "\u212A"}} {
		if FoldCase(c[0]) != FoldCase(c[1]) || !strings.EqualFold(c[0], c[1]) {
			t.Errorf("%s and %s must fold to the same", c[0], c[1])
		}
	}
	if FoldCase("a") == FoldCase("á") {
		t.Error("accents count")
	}
}

// FuzzRead compares the reader with encoding/json: it may refuse more, and what it takes must be the same.
func FuzzRead(f *testing.F) {
	for _, s := range []string{babs, `{'a':[1,-2.5e3,'\ud83d\ude00\n',null,true]}`, `"\ud800"`, `[[[[]]]]`, `{'a':1,'A':2}`, `1e400`} {
		f.Add([]byte(strings.ReplaceAll(s, "'", `"`)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Read(data, Limits{Values: 10_000})
		if err != nil {
			errorText(t, err)
			return
		}
		out, err := appendValue(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Read(out, Limits{Values: 10_000, Bytes: 1 << 30})
		if err != nil || !Equal(again, v) || canonicalText(again) != canonicalText(v) {
			t.Fatalf("written and read again: %v %s", err, out)
		}
		var want, got any
		d, e := json.NewDecoder(bytes.NewReader(data)), json.NewDecoder(bytes.NewReader(out))
		d.UseNumber()
		e.UseNumber()
		if d.Decode(&want) != nil || e.Decode(&got) != nil {
			t.Fatalf("encoding/json refuses %q", data)
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		if !bytes.Equal(a, b) {
			t.Fatalf("got %s, want %s", b, a)
		}
	})
}

// FuzzResource reads what a client sends as a resource, and what a server sends as messages.
func FuzzResource(f *testing.F) {
	for _, s := range []string{babs, entraUser, `{'totalResults':'1','resources':[{}]}`, `{'Operations':[{'method':'post','bulkId':'q','path':'/Users','data':{}}]}`, `{'status':409,'detail':'x'}`} {
		f.Add([]byte(strings.ReplaceAll(s, "'", `"`)))
	}
	users, groups := userType(f), groupType(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		ReadError(0, data)
		o, err := ReadObject(data, Limits{Values: 10_000})
		if err != nil {
			return
		}
		for _, kind := range []*ResourceType{users, groups} {
			out, _, err := kind.Accept(o)
			if err != nil {
				errorText(t, err)
				continue
			}
			again, quirks, err := kind.Accept(out)
			if err != nil || !Equal(again, out) || len(quirks) > 0 {
				t.Fatalf("accepted again: %v, %v, %s, want %s", err, quirks, canonicalText(again), canonicalText(out))
			}
			if same, _, err := kind.AcceptReplacement(out, out); err != nil || !Equal(same, out) {
				t.Fatalf("replaced by itself: %v, %s, want %s", err, canonicalText(same), canonicalText(out))
			}
			kind.Project(o, Projection{})
			kind.Project(out, Projection{Only: []Path{{Name: "emails", Sub: "value"}}})
		}
		if l, err := ReadListResponse(o); err == nil {
			if _, err := l.MarshalJSON(); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := ReadBulk(o, 100); err == nil {
			if _, err := ReadBulk(b.Document(), 100); err != nil {
				t.Fatal(err)
			}
		}
		if s, err := ReadSearch(o); err == nil {
			if _, err := ReadSearch(s.Document()); err != nil {
				t.Fatal(err)
			}
		}
		if s, err := ReadSchema(o); err == nil && s.Check() == nil {
			if _, err := s.MarshalJSON(); err != nil {
				t.Fatal(err)
			}
		}
		users.Receive(o)
		_, _ = ReadResourceType(o, users.Schemas())
		ReadServiceProviderConfig(o)
		_, _ = ReadBulkResults(o)
		BulkReferences(o)
	})
}

// TestRecordedUsers sends the people of a recorded tenant through everything that a client and a server do with them.
func TestRecordedUsers(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "graph-explorer-users.json"))
	if err != nil {
		t.Skipf("no recorded users beside the repository: %v", err)
	}
	o, err := ReadObject(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	kind := userType(t)
	people := o.List("value")
	if len(people) == 0 {
		t.Skip("the recording holds no list of users")
	}
	var before *Object
	for _, v := range people {
		p := v.(*Object)
		u := &Object{}
		for from, to := range map[string]string{"userPrincipalName": "userName", "id": "externalId", "displayName": "displayName", "jobTitle": "title",
			"givenName": "name.givenName", "surname": "name.familyName", "mobilePhone": "phoneNumbers[type eq \"mobile\"].value",
			"mail": "emails[type eq \"work\"].value", "officeLocation": "addresses[type eq \"other\"].formatted"} {
			if value, _ := p.Get(from); value != nil {
				u.Set(to, value)
			}
		}
		after, _, err := kind.Accept(u)
		if err != nil {
			t.Fatalf("%s: %v", text(t, u), err)
		}
		if before != nil {
			patches, err := kind.Diff(before, after, Dialect{Together: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range patches {
				if before, _, err = kind.Apply(before, p); err != nil {
					t.Fatal(err)
				}
			}
			kind.each(func(urn string, a *Attribute) {
				got, _ := holder(before, urn).Get(a.Name)
				want, _ := holder(after, urn).Get(a.Name)
				if !sameSet(got, want) {
					t.Errorf("%s: got %s, want %s", a.Name, text(t, got), text(t, want))
				}
			})
		}
		before = after
	}
}

func BenchmarkRead(b *testing.B) {
	data := []byte(strings.ReplaceAll(babs, "'", `"`))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := ReadObject(data, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	o := object(b, babs)
	for b.Loop() {
		if _, err := o.MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAccept(b *testing.B) {
	kind, o := userType(b), object(b, babs)
	for b.Loop() {
		if _, _, err := kind.Accept(o); err != nil {
			b.Fatal(err)
		}
	}
}
