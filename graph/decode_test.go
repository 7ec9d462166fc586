package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"dirsync"
)

func TestDecodePage(t *testing.T) {
	const link = `"@odata.nextLink":"https://graph/x"`
	for name, test := range map[string]struct{ page, want string }{
		"a user":             {`{"value":[{"id":"A1","b":1,"a":"x"}],` + link + `}`, `a1 a="x" b=1`},
		"the last page":      {`{"@odata.deltaLink":"https://graph/y","value":[]}`, `complete`},
		"null and absent":    {`{"value":[{"id":"1","mail":null}],` + link + `}`, `1 mail=null`},
		"annotations":        {`{"@odata.context":"c","value":[{"@odata.type":"#microsoft.graph.user","id":"1","a@odata.type":"#Int64","a":1}],` + link + `}`, `1 a=1`},
		"nested":             {`{"value":[{"id":"1","o":{"b":[1,{"c":"}"}],"a":null}}],` + link + `}`, `1 o={"b":[1,{"c":"}"}],"a":null}`},
		"white space":        {" {\n \"value\" : [ { \"id\" : \"1\" , \"o\" : { \"a\" : [ 1 , \"b c\" ] } , \"n\" : 1 } ] , " + link + "}\n", `1 n=1 o={"a":[1,"b c"]}`},
		"escapes":            {`{"value":[{"id":"\u0041b","na\u006de":"q\"\\","x":"\\"}],` + link + `}`, `ab name="q\"\\" x="\\"`},
		"twice":              {`{"value":[{"id":"1","a":1,"b":2,"a":3}],` + link + `}`, `1 a=3 b=2`},
		"removed":            {`{"value":[{"id":"1","@removed":{"reason":"changed"}}],` + link + `}`, `1 deleted, can be restored`},
		"removed for good":   {`{"value":[{"@removed":{"reason":"deleted"},"id":"1","userPrincipalName":null}],` + link + `}`, `1 deleted for good`},
		"unknown reason":     {`{"value":[{"id":"1","@removed":{"reason":"moved"}},{"id":"2","@removed":null},{"id":"3","@removed":7}],` + link + `}`, `1 deleted, can be restored; 2 deleted, can be restored; 3 deleted, can be restored`},
		"manager":            {`{"value":[{"id":"1","manager@delta":[{"@odata.type":"#microsoft.graph.user","id":"AB"}]}],` + link + `}`, `1 manager="ab"`},
		"manager removed":    {`{"value":[{"id":"1","manager@delta":[{"id":"AB","@removed":{"reason":"deleted"}}]}],` + link + `}`, `1 manager=null`},
		"manager replaced":   {`{"value":[{"id":"1","manager@delta":[{"id":"new"},{"id":"old","@removed":{"reason":"deleted"}}]}],` + link + `}`, `1 manager="new"`},
		"manager, no change": {`{"value":[{"id":"1","manager@delta":[]}],` + link + `}`, `1`},
		"manager expanded":   {`{"value":[{"id":"1","manager":{"id":"AB"}}],` + link + `}`, `1 manager="ab"`},
		"bad UTF-8":          {"{\"value\":[{\"id\":\"1\",\"a\":\"x\xffy\"}]," + link + "}", "1 a=\"x\uFFFDy\""},

		"no JSON":       {`{"value":[{"id":"1"]}`, "error: the answer is broken JSON: at byte 20 of 21, invalid character ']' after object key:value pair"},
		"cut short":     {`{"value":[{"id":"1"`, "error: the answer is broken JSON: at byte 19 of 19, unexpected end of JSON input"},
		"a web page":    {"\n<html>secret person</html>", "error: a web page came instead of data"},
		"nothing":       {" ", "error: the answer is empty"},
		"an array":      {`[]`, "error: the answer is JSON, but no object"},
		"no rows":       {`{` + link + `}`, `error: the answer has no list of users: "value" is missing or no array`},
		"rows are null": {`{"value":null,` + link + `}`, `error: the answer has no list of users: "value" is missing or no array`},
		"a row is text": {`{"value":[{"id":"1"},"x"],` + link + `}`, "error: row 2 is no object"},
		"no id":         {`{"value":[{"id":"1"},{"a":1}],` + link + `}`, "error: row 2: the user has no id"},
		"empty id":      {`{"value":[{"id":""}],` + link + `}`, "error: row 1: the user has no id"},
		"id is null":    {`{"value":[{"id":null}],` + link + `}`, "error: row 1: the id is no text"},
		"no link":       {`{"value":[]}`, "error: the page has neither @odata.nextLink nor @odata.deltaLink, so it is not known how to go on"},
		"both links":    {`{"value":[],"@odata.deltaLink":"https://graph/y",` + link + `}`, "error: the page has both @odata.nextLink and @odata.deltaLink, so it is not known whether the round is complete"},
		"link is null":  {`{"value":[],"@odata.nextLink":null}`, "error: @odata.nextLink is no text"},
		"limited":       {`{"value":[{"@odata.type":"#microsoft.graph.user","id":"1","userPrincipalName":null}],` + link + `}`, "error: row 1: user 1: Microsoft Graph sends users without their names, only ids"},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := newDecoder().page([]byte(test.page))
			if got := show(page, err); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func show(page deltaPage, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	var rows []string
	for _, r := range page.records {
		row := string(r.ID)
		if r.Gone != dirsync.Present {
			row += " " + r.Gone.String()
		}
		for _, a := range r.Attrs {
			row += fmt.Sprintf(" %s=%s", a.Name, a.Raw)
		}
		rows = append(rows, row)
	}
	if page.complete {
		rows = append(rows, "complete")
	}
	return strings.Join(rows, "; ")
}

// A record's attributes must have no room to grow into the next record's.
func TestRecordsDoNotShareRoom(t *testing.T) {
	page, err := newDecoder().page([]byte(`{"value":[{"id":"1","a":1},{"id":"2","a":2}],"@odata.deltaLink":"https://graph/y"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = append(page.records[0].Attrs, dirsync.Attribute{Name: "b", Raw: json.RawMessage("9")})
	_ = append(page.records[0].Attrs[0].Raw, "999"...)
	if got, want := show(page, nil), "1 a=1; 2 a=2; complete"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The recorded answer of the service for its public demo tenant decodes to what encoding/json makes of it.
func TestDecodeRecorded(t *testing.T) {
	body, err := os.ReadFile("../../shared/data/graph-explorer-users.json")
	if err != nil {
		t.Skip("the recorded users are not at hand: ", err)
	}
	records, err := newDecoder().rows(body)
	if err != nil {
		t.Fatal(err)
	}
	want, err := reference(body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(records), 32; got != want {
		t.Errorf("got %d users, want %d", got, want)
	}
	same(t, records, want)
}

// reference decodes the rows of an answer with encoding/json alone.
func reference(body []byte) ([]map[string]any, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	var rows []map[string]any
	err := json.Unmarshal(doc["value"], &rows)
	return rows, err
}

func same(t *testing.T, records []dirsync.Record, want []map[string]any) {
	t.Helper()
	if len(records) != len(want) {
		t.Fatalf("got %d rows, want %d", len(records), len(want))
	}
	for i, r := range records {
		id, _ := want[i]["id"].(string)
		if got := string(r.ID); got != strings.ToLower(id) {
			t.Errorf("row %d: got id %q, want %q", i, got, id)
		}
		_, removed := want[i][removedName]
		if got := r.Gone != dirsync.Present; got != removed {
			t.Errorf("row %d: got gone %v, want %v", i, got, removed)
		}
		if removed {
			if r.Attrs != nil {
				t.Errorf("row %d: a tombstone has attributes", i)
			}
			continue
		}
		n := 0
		for name, v := range want[i] {
			if name == "id" || name == managerName || strings.Contains(name, "@") {
				continue
			}
			n++
			raw, ok := r.Attrs.Get(name)
			var got any
			if !ok || json.Unmarshal(raw, &got) != nil {
				t.Errorf("row %d: %q is missing or broken: %q", i, name, raw)
				continue
			}
			if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", v); g != w {
				t.Errorf("row %d: %q: got %s, want %s", i, name, g, w)
			}
		}
		if _, ok := r.Attrs.Get(managerName); ok {
			n++
		}
		if len(r.Attrs) != n {
			t.Errorf("row %d: got %d attributes, want %d", i, len(r.Attrs), n)
		}
	}
}

// The scanner and encoding/json must agree on every page, and whatever is not accepted must be an error and no panic.
func FuzzDecodePage(f *testing.F) {
	f.Add([]byte(`{"value":[{"id":"A1","b":1,"a":"x"},{"id":"2","@removed":{"reason":"deleted"}}],"@odata.nextLink":"https://graph/x"}`))
	f.Add([]byte(`{"value":[{"id":"1","manager@delta":[{"id":"a"},{"id":"b","@removed":{}}],"o":{"a":[1,2, {"x":"\"}"}]}}],"@odata.deltaLink":"l"}`))
	f.Add([]byte("{\"value\":[{\"id\":\"1\",\"a\xff\":\"\\ud800\",\"n\":-1.5e+9,\"t\":true,\"\":null}],\"@odata.deltaLink\":\"l\"}"))
	f.Add([]byte(`{"value":[],"value":[{"id":"\\\""}] , "@odata.deltaLink":"l"}`))
	f.Add([]byte(`[[[[{}`))
	f.Add(samplePage(3))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := newDecoder().page(bytes.Clone(body))
		if !json.Valid(body) {
			if err == nil {
				t.Fatal("broken JSON was accepted")
			}
			return
		}
		if err != nil {
			return
		}
		want, err := reference(bytes.ToValidUTF8(body, []byte("\uFFFD")))
		if err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		same(t, page.records, want)
		for _, r := range page.records {
			if !slices.IsSortedFunc(r.Attrs, func(a, b dirsync.Attribute) int { return strings.Compare(a.Name, b.Name) }) {
				t.Errorf("the attributes of %q are not sorted", r.ID)
			}
			for _, a := range r.Attrs {
				var compact bytes.Buffer
				if err := json.Compact(&compact, a.Raw); err != nil || !bytes.Equal(compact.Bytes(), a.Raw) {
					t.Errorf("%s of %q is not one compact value: %q", a.Name, r.ID, a.Raw)
				}
			}
		}
	})
}

func FuzzGraphError(f *testing.F) {
	f.Add([]byte(`{"error":{"code":"Request_ResourceNotFound","message":"m","innerError":{"code":"x","innererror":{"code":"syncStateNotFound"}}}}`))
	f.Add([]byte(`{"error":"invalid_client","error_description":"AADSTS7000215: x Trace ID: y","error_codes":[7000215]}`))
	f.Add([]byte(`{"error":{"code":5,"message":null,"innerError":[]}}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		fault := parseGraphError(body)
		if fault.code != "" && !fault.is(strings.ToUpper(fault.code)) && strings.EqualFold(fault.code, strings.ToUpper(fault.code)) {
			t.Errorf("the fault %q is not its own code", fault.code)
		}
		if s := parseSignInFault(body).says(); strings.ContainsAny(s, "\r\n\x1b") {
			t.Errorf("control characters in %q", s)
		}
	})
}

// samplePage is a page as the service sends it, with n users of a dozen attributes.
func samplePage(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#users(displayName,givenName)","@odata.nextLink":"https://graph.microsoft.com/v1.0/users/delta?$skiptoken=oEBwdSP6uehIAxQOWq","value":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"accountEnabled":true,"businessPhones":["+1 425 555 0%03d"],"displayName":"Jürgen Müller %d","givenName":"Jürgen","jobTitle":"Senior Engineer","mail":"juergen.mueller%d@contoso.com","mobilePhone":null,"officeLocation":"18/2111","department":"Research & Development","employeeHireDate":"2021-03-01T00:00:00Z","surname":"Müller","userPrincipalName":"juergen.mueller%d@contoso.com","id":"ffff7b1a-13b6-477a-8c0c-%012d"}`, i, i, i, i, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func BenchmarkDecodePage(b *testing.B) {
	page := samplePage(200)
	d := newDecoder()
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	users := 0
	for b.Loop() {
		got, err := d.page(page)
		if err != nil {
			b.Fatal(err)
		}
		users += len(got.records)
	}
	b.ReportMetric(float64(users)/b.Elapsed().Seconds(), "users/s")
}
