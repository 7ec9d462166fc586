package mapping

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"dirsync"
)

// everyType has a field of every type.
func everyType() []dirsync.Field {
	return []dirsync.Field{
		{Name: "text", Type: dirsync.Text}, {Name: "mail", Type: dirsync.Email}, {Name: "phone", Type: dirsync.Phone}, {Name: "number", Type: dirsync.Number},
		{Name: "currency", Type: dirsync.Currency}, {Name: "boolean", Type: dirsync.Boolean}, {Name: "date", Type: dirsync.Date},
		{Name: "datetime", Type: dirsync.DateTime}, {Name: "choice", Type: dirsync.Choice, Options: []string{"a", "B", "Zoë"}},
		{Name: "reference", Type: dirsync.Reference}, {Name: "list", Type: dirsync.TextList},
	}
}

// FuzzValues maps any JSON onto every type. Whatever it is, nothing panics; and what is accepted is canonical: mapped
// once more it stays as it is.
func FuzzValues(f *testing.F) {
	for _, s := range []string{`"Ada"`, `"a@B.co"`, `"+1 425 555 0109"`, `12.50`, `"EUR 5"`, `true`, `"2019-06-06"`, `"2019-06-06T01:00:00+02:00"`,
		`"zoe\u0308"`, `{"id":"x"}`, `["a","b"]`, `[{"id":"x"}]`, `null`, `"\ud83d"`, `1e400`, `{`, `""`, "\"\xff\""} {
		f.Add([]byte(s))
	}
	var m *Mapping
	{
		var specs []Spec
		for _, x := range everyType() {
			specs = append(specs, Spec{Field: x.Name, From: x.Name})
		}
		var problems []Problem
		if m, problems = Compile(append(specs, constants()...), Expression{}, everyType(), with(everyType()...)); len(problems) > 0 {
			f.Fatal(problems)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, x := range everyType() {
			r := m.Map("1", dirsync.Attributes{{Name: x.Name, Raw: raw}})
			v, _ := r.Values.Get(x.Name)
			if v.IsNull() {
				continue
			}
			if !utf8.ValidString(v.Text) || v.Type != x.Type {
				t.Errorf("%s of %q: %q %q", x.Name, raw, v.Type, v.Text)
			}
			again, err := json.Marshal(v.Text)
			if x.Type == dirsync.TextList {
				again, err = v.MarshalJSON()
			}
			if err != nil {
				t.Fatal(err)
			}
			if w, _ := m.Map("1", dirsync.Attributes{{Name: x.Name, Raw: again}}).Values.Get(x.Name); w != v {
				t.Errorf("%s of %q: %q becomes %q", x.Name, raw, v.Text, w.Text)
			}
		}
	})
}

// FuzzText reads JSON strings as encoding/json does, where it does not refuse them.
func FuzzText(f *testing.F) {
	for _, s := range []string{`"a"`, `"\u0041"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\n\t\\\/"`, `"a`, `"a"b"`, "\"\xff\"", `"\u12"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := decodeText(raw)
		var want string
		wantErr := json.Unmarshal(raw, &want)
		if len(raw) > 0 && raw[0] == '"' && raw[len(raw)-1] == '"' && wantErr == nil && err == nil && got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
		if err == nil && (wantErr != nil || !utf8.ValidString(got)) {
			t.Errorf("%q is read as %q, but encoding/json says %v", raw, got, wantErr)
		}
		if err != nil && wantErr == nil && raw[0] == '"' && !strings.ContainsRune(want, utf8.RuneError) && string(raw) == strings.TrimSpace(string(raw)) {
			t.Errorf("%q is refused: %v", raw, err)
		}
	})
}

// FuzzNumber checks that numbers keep their exact value.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", "-0.0", "12.50", "1e3", "1e-3", "+5", ".5", "5.", "007", "1e9999", "0x1", "1_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, reason := cleanNumber(s)
		if reason != "" {
			return
		}
		if again, _ := cleanNumber(got); again != got {
			t.Errorf("%q: %q becomes %q", s, got, again)
		}
		a, errA := decimal.NewFromString(strings.TrimFunc(s, isOuterSpace))
		b, errB := decimal.NewFromString(got)
		if errA == nil && errB == nil && !a.Equal(b) {
			t.Errorf("%q becomes %q", s, got)
		}
		if errB != nil {
			t.Errorf("%q gives %q, which is no number", s, got)
		}
	})
}

// FuzzNumberStyle checks that a sample of a style is read by that style.
func FuzzNumberStyle(f *testing.F) {
	f.Add("1.234,56", "-1.234.567,8")
	f.Add("1 234,56", "12")
	f.Add("1234.56", "1e5")
	f.Fuzz(func(t *testing.T, sample, s string) {
		style, ok := parseNumberStyle(sample)
		if !ok {
			return
		}
		if got, _ := style.parse(sample); got != "1234.56" {
			t.Errorf("the sample %q is read as %q", sample, got)
		}
		if got, reason := style.parse(s); reason == "" {
			if again, _ := cleanNumber(got); again != got {
				t.Errorf("%q in %q: %q is not canonical", s, sample, got)
			}
		}
	})
}

// FuzzDate checks that a date that is read is written the same way again.
func FuzzDate(f *testing.F) {
	f.Add("DD/MM/YYYY", "06/06/2019")
	f.Add("YYYY-MM-DDTHH:mm:ss Z", "2019-06-06T09:30:00 +02:00")
	f.Add("D.M.YYYY HH:mm [Europe/Berlin]", "6.6.2019 09:30")
	f.Add("YYYYMMDD", "20190606")
	f.Fuzz(func(t *testing.T, source, s string) {
		p, err := parsePattern(source)
		if err != nil {
			return
		}
		when, reason := p.parse(s)
		if reason == "" && !p.zoned && strings.Contains(source, "HH") == p.clock && p.format(when) != s {
			t.Errorf("%q in %q is written %q", s, source, p.format(when))
		}
	})
}

// FuzzNetLayout checks that a date that .NET's layouts read and write stays the same moment.
func FuzzNetLayout(f *testing.F) {
	for _, l := range []string{"yyyy-MM-dd", "dd/MM/yyyy HH:mm:ss.fff", "o", "yyyyMMddHHmmss.fZ", "dddd, d MMMM yyyy h:mm tt", "yyyy-MM-ddzzz", "'x'yy\\M%M"} {
		f.Add(l, "2019-06-06")
	}
	now := time.Date(2019, 6, 6, 9, 30, 15, 0, time.UTC)
	f.Fuzz(func(t *testing.T, layout, s string) {
		l, err := parseNetLayout(layout)
		if err != nil {
			return
		}
		written := l.format(now)
		if l.readable() != nil {
			return
		}
		l.parse(written)
		if when, ok := l.parse(s); ok && (when.Year() < 1 || when.Year() > 9999) {
			t.Errorf("%q is read as %v", s, when)
		}
	})
}

func FuzzPhone(f *testing.F) {
	for _, s := range []string{"+1 425 555 0109", "+1 425 555 0109 x12", "+49 (0)30 901820", "0", "+", "tel:+1", "+1;ext=5"} {
		f.Add(s, "US")
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, s, region string) {
		c := converter{field: dirsync.Field{Type: dirsync.Phone}}
		if region != "" {
			if message, _ := c.setFormat(region, dirsync.Text); message != "" {
				return
			}
		}
		got, reason := c.phone(s)
		if reason == "" && got != "" {
			if again, why := c.phone(got); again != got {
				t.Errorf("%q: %q becomes %q %s", s, got, again, why)
			}
		}
	})
}

func FuzzEmail(f *testing.F) {
	for _, s := range []string{"a@b.co", "A@MÜLLER.de", "a@xn--mller-kva.de", "\"a b\"@c.de", "a@b@c.de", "a@.de", "a@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, reason := cleanEmail(s)
		if reason != "" {
			return
		}
		if again, why := cleanEmail(got); again != got {
			t.Errorf("%q: %q becomes %q %s", s, got, again, why)
		}
		if at := strings.LastIndexByte(got, '@'); !isASCII(got[at:]) || strings.ToLower(got[at:]) != got[at:] || strings.ContainsAny(got, " \n\t<>") {
			t.Errorf("%q gives %q", s, got)
		}
	})
}

// hostileRecord has a value for every property, none of them nice.
func hostileRecord() dirsync.Attributes {
	return attrs("givenName", `"`+strings.Repeat("ab ", 5000)+`"`, "surname", `"Zoe\u0308 \" \\ $1 ${x}"`, "department", `null`, "mail", `{"a":[]}`, "level", `1e30`,
		"accountEnabled", `"maybe"`, "employeeHireDate", `"0001-01-01T00:00:00Z"`, "proxyAddresses", `["","`+strings.Repeat("x", 9000)+`",null]`, "manager", `[]`)
}

// FuzzEntra compiles any text, and runs what compiles. What compiles is written in a form that means the same.
func FuzzEntra(f *testing.F) {
	for _, s := range []string{`Append([surname], ".x")`, `Switch([department], , "False", "True", "True", "False")`, `IIF([level]>=9,"a","b")`,
		`Replace([givenName], , "(?<a>a)b", , "$1${a}$$$&", , )`, `FormatDateTime([surname], , "yyyyMMddHHmmss.fZ", "dddd")`, `DateAdd("m", -1, CDate([employeeHireDate]))`,
		`Mid([givenName], 2147483647, 2147483647)`, `Word([surname], 1, " ")`, `Join("\"\\", [proxyAddresses], &HFF)`, `"`, `[`, `A(`, `CBool([surname] = "x")`} {
		f.Add(s)
	}
	c := newCompiler(exprSource, Mandatory())
	record := hostileRecord()
	f.Fuzz(func(t *testing.T, s string) {
		p, fault := compileEntra(s, c.property)
		if fault != nil {
			if fault.message == "" || fault.line < 0 || fault.column < 0 {
				t.Errorf("%q: %+v", s, fault)
			}
			return
		}
		again, fault := compileEntra(p.root.String(), c.property)
		if fault != nil && len(s) < maxEntra/2 || fault == nil && again.root.String() != p.root.String() {
			t.Errorf("%q is written %q: %+v", s, p.root, fault)
		}
		start := time.Now()
		e := &entraExpression{program: p}
		in, _, err := e.fetch(&person{id: "1", attrs: record})
		if err == nil && len(in.text) > maxResult {
			t.Errorf("%q gives %d bytes", s, len(in.text))
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%q takes %v", s, took)
		}
	})
}

// FuzzExpr compiles any text as an expression of expr-lang, and runs what compiles.
func FuzzExpr(f *testing.F) {
	for _, s := range []string{`user.mail ?? user.surname`, `let a = user.givenName; a + a`, `any(user.proxyAddresses, # matches "x+y")`, `user.level ** user.level`,
		`join(map(user.proxyAddresses, replace(#, "x", user.givenName)), user.givenName)`, `[[1]]`, `1..9`, `{"a":1}`, `user?.["mail"]`, `#`, `user.surname[0]`, `$env`,
		`date("2019-01-01") < user.employeeHireDate`, `if true {1} else {2}`, `"a" | upper()`, `not nil`, `-nil`, `user.level in [nil, 1]`} {
		f.Add(s)
	}
	c := newCompiler(exprSource, Mandatory())
	record := hostileRecord()
	f.Fuzz(func(t *testing.T, s string) {
		p, fault := compileExpr(s, c.property)
		if fault != nil {
			if fault.message == "" || strings.Contains(fault.message, "\n") {
				t.Errorf("%q: %+v", s, fault)
			}
			return
		}
		m := &Mapping{where: p}
		m.gather(c.source)
		pers := m.person("1", record)
		start := time.Now()
		in, err := pers.workshop().run(p)
		if err == nil && len(in.text) > maxResult {
			t.Errorf("%q gives %d bytes", s, len(in.text))
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%q takes %v", s, took)
		}
	})
}

// TestCanonicalFormsDecideEquality writes values in other ways that mean the same.
func TestCanonicalFormsDecideEquality(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(-1e12, 1e12).Draw(t, "number")
		d := decimal.New(n, int32(rapid.IntRange(-6, 6).Draw(t, "exponent")))
		plain, _ := cleanNumber(d.String())
		for _, other := range []string{d.StringFixed(9), " " + d.String() + " ", d.Shift(3).String() + "e-3"} {
			if got, reason := cleanNumber(other); got != plain {
				t.Fatalf("%q: got %q %s, want %q", other, got, reason, plain)
			}
		}
		when := time.Unix(rapid.Int64Range(-6e10, 2e11).Draw(t, "time"), 0).UTC()
		zone := time.FixedZone("", rapid.IntRange(-14*60, 14*60).Draw(t, "zone")*60)
		c := converter{field: dirsync.Field{Type: dirsync.DateTime}}
		a, b := textInput(when.Format(time.RFC3339)), textInput(when.In(zone).Format(time.RFC3339))
		va, _ := c.value(&a)
		vb, reason := c.value(&b)
		if y := when.In(zone).Year(); y >= 1 && y <= 9999 && va != vb {
			t.Fatalf("%s and %s: got %q and %q %s", a.text, b.text, va.Text, vb.Text, reason)
		}
	})
}
