package mapping

import (
	"strings"
	"testing"

	"dirsync"
)

// TestTypes has good and bad values of every type. A good value is given with its canonical form, a bad one with the
// reason why it is refused.
func TestTypes(t *testing.T) {
	type value struct{ raw, want string }
	for _, tc := range []struct {
		name      string
		from      dirsync.Type
		to        dirsync.Field
		format    string
		good, bad []value
	}{
		{"text", dirsync.Text, dirsync.Field{Type: dirsync.Text, MaxLength: 20}, "",
			[]value{
				{`"Ada"`, `Ada`}, {`" Ada "`, `Ada`}, {`"\t Ada\r\n"`, `Ada`}, {`"a  b"`, `a  b`}, {`"Zoe\u0308"`, "Zoë"}, {`"\u00a0Ada\u200b"`, `Ada`},
				{`"a\r\nb\rc"`, "a\nb\nc"}, {`"a\tb"`, "a\tb"}, {`"\ud83d\ude00"`, "😀"}, {`"a\/b\\c\"d"`, `a/b\c"d`}, {`"` + strings.Repeat("ä", 20) + `"`, strings.Repeat("ä", 20)},
				{`""`, ``}, {`"  "`, ``}, {`null`, ``},
			},
			[]value{
				{`{}`, `is an object, not text`}, {`[]x`, `is not valid JSON`}, {`["a"]`, `is a list, not text`}, {`true`, `is a boolean, not text`}, {`12`, `is a number, not text`},
				{`"a\u0000b"`, `holds the control character U+0000`}, {`"a\u001bb"`, `holds the control character U+001B`}, {`"a\u0085b"`, `holds the control character U+0085`},
				{`"` + strings.Repeat("x", 21) + `"`, `is longer than 20 characters`}, {`"\ud83d"`, `holds half a character (a lone surrogate)`},
				{"\"\xff\"", `is not valid UTF-8`}, {`"\x"`, `is not valid JSON`}, {`"abc`, `is not valid JSON`}, {`"` + strings.Repeat("x", 70000) + `"`, `is too long: 70002 bytes, and at most 65536 are read`},
			}},
		{"email", dirsync.Email, dirsync.Field{Type: dirsync.Email}, "",
			[]value{
				{`"Ada@Example.COM"`, `Ada@example.com`}, {`" a@b.co "`, `a@b.co`}, {`"a.b+c@x-y.example"`, `a.b+c@x-y.example`}, {`"o'neil@example.com"`, `o'neil@example.com`},
				{`"a@müller.de"`, `a@xn--mller-kva.de`}, {`"a@MÜLLER.de"`, `a@xn--mller-kva.de`}, {`"a@XN--MLLER-KVA.de"`, `a@xn--mller-kva.de`},
				{`"john_contoso.com#EXT#@t.onmicrosoft.com"`, `john_contoso.com#EXT#@t.onmicrosoft.com`}, {`"jürgen@example.com"`, `jürgen@example.com`},
				{`"a@1.example"`, `a@1.example`}, {`"a_b@a.b.c.d"`, `a_b@a.b.c.d`}, {`null`, ``},
			},
			[]value{
				{`"x"`, `is not an e-mail address`}, {`"@example.com"`, `is not an e-mail address`}, {`"a@"`, `is not an e-mail address`}, {`"a@b"`, `is not an e-mail address: the domain b cannot exist`},
				{`"Ada <a@example.com>"`, `is not an e-mail address`}, {`"a b@example.com"`, `is not an e-mail address`}, {`"a@b@example.com"`, `is not an e-mail address`},
				{`".a@example.com"`, `is not an e-mail address`}, {`"a..b@example.com"`, `is not an e-mail address`}, {`"a@-b.example"`, `is not an e-mail address: the domain -b.example cannot exist`},
				{`"a@example..com"`, `is not an e-mail address: the domain example..com cannot exist`}, {`"a@127.0.0.1"`, `is not an e-mail address: the domain 127.0.0.1 cannot exist`},
				{`"\"a b\"@example.com"`, `is not an e-mail address`}, {`"` + strings.Repeat("a", 65) + `@example.com"`, `is not an e-mail address: it is too long`},
				{`12`, `is a number, not an e-mail address`}, {`"a\nb@example.com"`, `is not an e-mail address`},
			}},
		{"phone", dirsync.Phone, dirsync.Field{Type: dirsync.Phone}, "",
			[]value{
				{`"+1 425 555 0109"`, `+14255550109`}, {`"+1 (425) 555-0109"`, `+14255550109`}, {`"+14255550109"`, `+14255550109`}, {`"+49 30 901820"`, `+4930901820`},
				{`"+49 (0)30 901820"`, `+4930901820`}, {`"+44 20 7946 0958"`, `+442079460958`}, {`"+91 98765 43210"`, `+919876543210`}, {`"+1 425 555 0109 ext. 12"`, `+14255550109;ext=12`},
				{`"+1 425 555 0109 x12"`, `+14255550109;ext=12`}, {`"tel:+1-425-555-0109"`, `+14255550109`}, {`null`, ``},
			},
			[]value{
				{`"425 555 0109"`, `is not a phone number with a country code, and the mapping names no country for those without: format: DE`}, {`"+1 555"`, `is not a phone number that exists`},
				{`"+999 123456789"`, `is not a phone number that exists`}, {`"+1 425 555 01099999"`, `is not a phone number that exists`}, {`"+"`, `is not a phone number that exists`},
				{`"+abc"`, `is not a phone number that exists`}, {`"+49"`, `is not a phone number that exists`}, {`"+1 000 000 0000"`, `is not a phone number that exists`},
				{`"call me"`, `is not a phone number with a country code, and the mapping names no country for those without: format: DE`},
				{`"` + strings.Repeat("+1", 40) + `"`, `is not a phone number`}, {`14255550109`, `is a number, not a phone number`},
			}},
		{"phone of a country", dirsync.Text, dirsync.Field{Type: dirsync.Phone}, "us",
			[]value{{`"425 555 0109"`, `+14255550109`}, {`"8006427676"`, `+18006427676`}, {`"+49 30 901820"`, `+4930901820`}, {`"(425) 555-0109 x7"`, `+14255550109;ext=7`}},
			[]value{{`"12"`, `is not a phone number that exists`}, {`"5555555555"`, `is not a phone number that exists`}}},
		{"number", dirsync.Number, dirsync.Field{Type: dirsync.Number}, "",
			[]value{
				{`0`, `0`}, {`-0`, `0`}, {`12`, `12`}, {`12.50`, `12.5`}, {`-0.10`, `-0.1`}, {`1e3`, `1000`}, {`1.5E-3`, `0.0015`}, {`12345678901234567890.123456789`, `12345678901234567890.123456789`},
				{`"007"`, `7`}, {`" 12 "`, `12`}, {`"+5"`, `5`}, {`".5"`, `0.5`}, {`"5."`, `5`}, {`""`, ``}, {`null`, ``},
			},
			[]value{
				{`"x"`, `is not a number`}, {`"1,5"`, `is not a number`}, {`"1_000"`, `is not a number`}, {`"€5"`, `is not a number`}, {`"NaN"`, `is not a number`}, {`"Infinity"`, `is not a number`},
				{`"0x10"`, `is not a number`}, {`"1e"`, `is not a number`}, {`"--1"`, `is not a number`}, {`"."`, `is not a number`}, {`1e1000000`, `is not a number`}, {`1e5000`, `has too many digits`},
				{`"` + strings.Repeat("9", 41) + `"`, `has too many digits`}, {`true`, `is a boolean, not a number`}, {`"1 2"`, `is not a number`}, {`01`, `is not valid JSON`},
			}},
		{"number with separators", dirsync.Text, dirsync.Field{Type: dirsync.Number}, "1.234,56",
			[]value{{`"1.234,56"`, `1234.56`}, {`"1234,5"`, `1234.5`}, {`"-1.234.567"`, `-1234567`}, {`"12"`, `12`}, {`"0,10"`, `0.1`}, {`" 1.000 "`, `1000`}, {`12.5`, `12.5`}},
			[]value{{`"1,234.56"`, `is not a number`}, {`"1.23"`, `is not a number`}, {`"1.2345"`, `is not a number`}, {`"1..000"`, `is not a number`}, {`"12,"`, `is not a number`}, {`"1e3"`, `is not a number`}, {`"1.234,56,7"`, `is not a number`}, {`".123,4"`, `is not a number`}}},
		{"currency", dirsync.Currency, dirsync.Field{Type: dirsync.Currency}, "",
			[]value{
				{`"EUR 12.50"`, `EUR 12.5`}, {`"12.50 EUR"`, `EUR 12.5`}, {`"eur 12"`, `EUR 12`}, {`"EUR12"`, `EUR 12`}, {`"12EUR"`, `EUR 12`}, {`"USD -5"`, `USD -5`}, {`" JPY 1000 "`, `JPY 1000`},
				{`"INR 0.00"`, `INR 0`}, {`"CHF 1e3"`, `CHF 1000`}, {`"GBP .5"`, `GBP 0.5`}, {`null`, ``}, {`""`, ``},
			},
			[]value{
				{`"12.50"`, `is an amount without a currency; write EUR 12.50, or name the currency in the mapping: format: EUR`}, {`"QQQ 5"`, `is an amount in the currency QQQ, which is not known`},
				{`"EUR"`, `is an amount without a currency; write EUR 12.50, or name the currency in the mapping: format: EUR`}, {`"EUR x"`, `is not an amount of money`}, {`"€5"`, `is an amount without a currency; write EUR 12.50, or name the currency in the mapping: format: EUR`},
				{`"EUR 1,50"`, `is not an amount of money`}, {`"EUR 1.2.3"`, `is not an amount of money`}, {`"EUR USD"`, `is not an amount of money`}, {`"EUR 5 USD"`, `is not an amount of money`},
				{`true`, `is a boolean, not an amount of money`}, {`{}`, `is an object, not an amount of money`}, {`"EUR ` + strings.Repeat("9", 50) + `"`, `has too many digits`},
			}},
		{"currency by format", dirsync.Text, dirsync.Field{Type: dirsync.Currency}, "EUR 1.234,56",
			[]value{{`"1.234,50"`, `EUR 1234.5`}, {`"USD 12,5"`, `USD 12.5`}, {`12.5`, `EUR 12.5`}}, []value{{`"1,234.50"`, `is not an amount of money`}}},
		{"boolean", dirsync.Boolean, dirsync.Field{Type: dirsync.Boolean}, "",
			[]value{{`true`, `true`}, {`false`, `false`}, {`"true"`, `true`}, {`"True"`, `true`}, {`"TRUE"`, `true`}, {`"False"`, `false`}, {`" false "`, `false`}, {`"tRuE"`, `true`}, {`null`, ``}, {`""`, ``}},
			[]value{
				{`"yes"`, `is neither true nor false`}, {`1`, `is a number, not true or false`}, {`0`, `is a number, not true or false`}, {`"1"`, `is neither true nor false`}, {`"t"`, `is neither true nor false`},
				{`{}`, `is an object, not true or false`}, {`["true"]`, `is a list, not true or false`}, {`"truee"`, `is neither true nor false`}, {`tru`, `is not valid JSON`}, {`"on"`, `is neither true nor false`}, {`"nein"`, `is neither true nor false`},
			}},
		{"boolean in words", dirsync.Text, dirsync.Field{Type: dirsync.Boolean}, "ja / nein",
			[]value{{`"ja"`, `true`}, {`"JA"`, `true`}, {`"Nein"`, `false`}, {`true`, `true`}}, []value{{`"true"`, `is neither ja nor nein`}, {`"j"`, `is neither ja nor nein`}}},
		{"date", dirsync.Date, dirsync.Field{Type: dirsync.Date}, "",
			[]value{
				{`"2019-06-06"`, `2019-06-06`}, {`" 2019-06-06 "`, `2019-06-06`}, {`"2020-02-29"`, `2020-02-29`}, {`"0001-01-01"`, `0001-01-01`}, {`"9999-12-31"`, `9999-12-31`},
				{`"2019-06-06T00:00:00Z"`, `2019-06-06`}, {`"2019-06-06T23:30:00-02:00"`, `2019-06-07`}, {`"2019-06-06T01:30:00+02:00"`, `2019-06-05`}, {`"2019-06-06T12:00:00.123Z"`, `2019-06-06`},
				{`"2019-06-06T12:00Z"`, `2019-06-06`}, {`null`, ``}, {`""`, ``},
			},
			[]value{
				{`"June sixth"`, `is not a date in the form YYYY-MM-DD`}, {`"06/06/2019"`, `is not a date in the form YYYY-MM-DD`}, {`"2019-02-29"`, `is not a date in the form YYYY-MM-DD`}, {`"2019-13-01"`, `is not a date in the form YYYY-MM-DD`},
				{`"2019-00-01"`, `is not a date in the form YYYY-MM-DD`}, {`"2019-6-6"`, `is not a date in the form YYYY-MM-DD`}, {`"19-06-06"`, `is not a date in the form YYYY-MM-DD`}, {`"0000-01-01"`, `is not a date in the form YYYY-MM-DD`},
				{`"2019-06-06T00:00:00"`, `is not a date in the form YYYY-MM-DD`}, {`20190606`, `is a number, not a date`}, {`"2019-06-06 extra"`, `is not a date in the form YYYY-MM-DD`}, {`"２０１９-06-06"`, `is not a date in the form YYYY-MM-DD`},
			}},
		{"date by format", dirsync.Text, dirsync.Field{Type: dirsync.Date}, "DD/MM/YYYY",
			[]value{{`"06/06/2019"`, `2019-06-06`}, {`"31/12/1999"`, `1999-12-31`}, {`"29/02/2020"`, `2020-02-29`}, {`" 06/06/2019"`, `2019-06-06`}},
			[]value{
				{`"June sixth"`, `is not a date in the form DD/MM/YYYY`}, {`"6/6/2019"`, `is not a date in the form DD/MM/YYYY`}, {`"31/02/2019"`, `is not a date in the form DD/MM/YYYY`}, {`"1/1/20"`, `is not a date in the form DD/MM/YYYY`},
				{`"2019-06-06"`, `is not a date in the form DD/MM/YYYY`}, {`"12/31/1999"`, `is not a date in the form DD/MM/YYYY`}, {`"06-06-2019"`, `is not a date in the form DD/MM/YYYY`}, {`"06/06/19"`, `is not a date in the form DD/MM/YYYY`},
				{`"06/06/0000"`, `is not a date in the form DD/MM/YYYY`}, {`"06/06/2019 "x`, `is not valid JSON`},
			}},
		{"date by loose format", dirsync.Text, dirsync.Field{Type: dirsync.Date}, "D.M.YYYY",
			[]value{{`"6.6.2019"`, `2019-06-06`}, {`"31.12.2019"`, `2019-12-31`}}, []value{{`"06.06.2019"`, `is not a date in the form D.M.YYYY`}, {`"2019.6.6"`, `is not a date in the form D.M.YYYY`}}},
		{"date of a target that writes it so", dirsync.Date, dirsync.Field{Type: dirsync.Date, Format: "DD/MM/YYYY"}, "",
			[]value{{`"2019-06-06"`, `2019-06-06`}, {`"06/06/2019"`, `2019-06-06`}}, []value{{`"06-06-2019"`, `is not a date in the form DD/MM/YYYY`}}},
		{"datetime", dirsync.DateTime, dirsync.Field{Type: dirsync.DateTime}, "",
			[]value{
				{`"2019-06-06T09:30:00Z"`, `2019-06-06T09:30:00Z`}, {`"2019-06-06T09:30:00+02:00"`, `2019-06-06T07:30:00Z`}, {`"2019-06-06T09:30:00.500Z"`, `2019-06-06T09:30:00.5Z`}, {`"2019-06-06T09:30:00.000Z"`, `2019-06-06T09:30:00Z`},
				{`"2019-06-06T09:30Z"`, `2019-06-06T09:30:00Z`}, {`"2019-12-31T23:30:00-02:00"`, `2020-01-01T01:30:00Z`}, {`" 2019-06-06T09:30:00Z "`, `2019-06-06T09:30:00Z`}, {`"2019-06-06T09:30:00.123456789Z"`, `2019-06-06T09:30:00.123456789Z`},
				{`"0001-01-01T00:00:00Z"`, `0001-01-01T00:00:00Z`}, {`"9999-12-31T23:59:59Z"`, `9999-12-31T23:59:59Z`}, {`null`, ``},
			},
			[]value{
				{`"2019-06-06T09:30:00"`, `is not a date and time: it names no time zone`}, {`"2019-06-06 09:30"`, `is not a date and time: it names no time zone`}, {`"2019-06-06"`, `is not a date and time in the form 2019-06-06T09:30:00Z`},
				{`"2019-06-06T25:00:00Z"`, `is not a date and time in the form 2019-06-06T09:30:00Z`}, {`"2019-02-30T00:00:00Z"`, `is not a date and time in the form 2019-06-06T09:30:00Z`}, {`"yesterday"`, `is not a date and time in the form 2019-06-06T09:30:00Z`},
				{`"9999-12-31T23:59:59-01:00"`, `is not a date and time in the form 2019-06-06T09:30:00Z`}, {`"0001-01-01T00:00:00+01:00"`, `is not a date and time in the form 2019-06-06T09:30:00Z`}, {`1559813400`, `is a number, not a date and time`},
				{`"2019-06-06T09:30:00,5Z"`, `is not a date and time in the form 2019-06-06T09:30:00Z`}, {`"20190606T093000Z"`, `is not a date and time in the form 2019-06-06T09:30:00Z`}, {`true`, `is a boolean, not a date and time`},
			}},
		{"datetime by format", dirsync.Text, dirsync.Field{Type: dirsync.DateTime}, "DD/MM/YYYY HH:mm Z",
			[]value{{`"06/06/2019 09:30 Z"`, `2019-06-06T09:30:00Z`}, {`"06/06/2019 09:30 +02:00"`, `2019-06-06T07:30:00Z`}}, []value{{`"06/06/2019 09:30"`, `is not a date and time in the form DD/MM/YYYY HH:mm Z`}}},
		{"datetime of a zone", dirsync.Text, dirsync.Field{Type: dirsync.DateTime}, "DD/MM/YYYY HH:mm:ss [Europe/Berlin]",
			[]value{{`"06/06/2019 09:30:00"`, `2019-06-06T07:30:00Z`}, {`"06/12/2019 09:30:00"`, `2019-12-06T08:30:00Z`}},
			[]value{{`"31/03/2019 02:30:00"`, `is not a date and time in the form DD/MM/YYYY HH:mm:ss [Europe/Berlin]`}}},
		{"text from a date", dirsync.DateTime, dirsync.Field{Type: dirsync.Text}, "DD/MM/YYYY",
			[]value{{`"2019-06-06T00:00:00Z"`, `06/06/2019`}, {`"2019-06-06"`, `06/06/2019`}}, []value{{`"June"`, `is not a date and time in the form 2019-06-06T09:30:00Z`}, {`1`, `is a number, not a date`}}},
		{"choice", dirsync.Text, dirsync.Field{Type: dirsync.Choice, Options: []string{"Berlin", "New York", "Zoë", "it", "IT"}}, "",
			[]value{
				{`"Berlin"`, `Berlin`}, {`"berlin"`, `Berlin`}, {`"BERLIN"`, `Berlin`}, {`" Berlin "`, `Berlin`}, {`"new york"`, `New York`}, {`"zoe\u0308"`, `Zoë`}, {`"ZOË"`, `Zoë`},
				{`"it"`, `it`}, {`"IT"`, `IT`}, {`""`, ``}, {`null`, ``},
			},
			[]value{
				{`"Berlln"`, `is none of the options; the nearest is Berlin`}, {`"Paris"`, `is none of the options`}, {`"It"`, `is none of the options; the nearest is it`}, {`"NewYork"`, `is none of the options; the nearest is New York`},
				{`"Berlin, New York"`, `is none of the options`}, {`12`, `is a number, not text`}, {`true`, `is a boolean, not text`}, {`["Berlin"]`, `is a list, not text`}, {`{}`, `is an object, not text`}, {`"Ber\u0000lin"`, `holds the control character U+0000`},
			}},
		{"reference", dirsync.Reference, dirsync.Field{Type: dirsync.Reference}, "",
			[]value{
				{`"a0000000-0000-0000-0000-00000000000f"`, `a0000000-0000-0000-0000-00000000000f`}, {`"A0000000-0000-0000-0000-00000000000F"`, `a0000000-0000-0000-0000-00000000000f`}, {`" x1 "`, `x1`}, {`"User-7"`, `User-7`},
				{`{"id":"A0000000-0000-0000-0000-00000000000F"}`, `a0000000-0000-0000-0000-00000000000f`}, {`[{"id":"x"}]`, `x`}, {`[{"id":"x","@removed":{"reason":"deleted"}},{"id":"y"}]`, `y`},
				{`[{"id":"x","@removed":{"reason":"deleted"}}]`, ``}, {`{"id":"x","@removed":{"reason":"deleted"}}`, ``}, {`[]`, ``}, {`null`, ``},
			},
			[]value{
				{`{}`, `is an object without an id`}, {`{"id":null}`, `is an object without an id`}, {`{"id":7}`, `is an object without an id`}, {`[{"x":"y"}]`, `is an object without an id`}, {`["x"]`, `is a list, not a person`},
				{`true`, `is a boolean, not a person`}, {`7`, `is a number, not a person`}, {`"a b"`, `is not the id of a person`}, {`"` + strings.Repeat("x", 257) + `"`, `is not the id of a person`}, {`{"id":`, `is not valid JSON`}, {`"a\u0001b"`, `is not the id of a person`},
			}},
		{"list", dirsync.TextList, dirsync.Field{Type: dirsync.TextList}, "",
			[]value{
				{`["a","b"]`, `["a","b"]`}, {`["b","a"]`, `["b","a"]`}, {`[" a ",""]`, `["a"]`}, {`["a",null]`, `["a"]`}, {`["<&>"]`, `["<&>"]`}, {`["a\"b"]`, `["a\"b"]`}, {`["Zoe\u0308"]`, `["Zoë"]`}, {`["a","a"]`, `["a","a"]`},
				{`[]`, ``}, {`[""]`, ``}, {`null`, ``},
			},
			[]value{
				{`"a"`, `is text, not a list`}, {`[1]`, `is a list of something other than texts`}, {`[true]`, `is a list of something other than texts`}, {`[["a"]]`, `is a list of something other than texts`}, {`["a",{}]`, `is an object, not a list`},
				{`{}`, `is an object, not a list`}, {`["a\u0000"]`, `has an entry that holds the control character U+0000`}, {`["\ud83d"]`, `holds half a character (a lone surrogate)`}, {`["a"`, `is not valid JSON`}, {`7`, `is a number, not a list`},
				{`[` + strings.Repeat(`"a",`, 1000) + `"a"]`, `has too many entries: 1001, and at most 1000 are read`},
			}},
		{"list from text", dirsync.Text, dirsync.Field{Type: dirsync.TextList}, ";",
			[]value{{`"a; b;;c"`, `["a","b","c"]`}, {`"a"`, `["a"]`}, {`";"`, ``}}, []value{{`7`, `is a number, not a list`}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.to.Name = "x"
			m, problems := Compile(append([]Spec{{Field: "x", From: "in", Format: tc.format}}, constants()...), Expression{},
				[]dirsync.Field{{Name: "in", Type: tc.from}}, with(tc.to))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			for _, v := range tc.good {
				r := m.Map("1", attrs("in", v.raw))
				got, ok := r.Values.Get("x")
				if !ok || got.Text != v.want || got.IsNull() != (v.want == "") || len(r.Faults) > 0 || !got.IsNull() && got.Type != tc.to.Type {
					t.Errorf("%s: got %q %q %v, want %q", v.raw, got.Type, got.Text, r.Faults, v.want)
				}
			}
			for _, v := range tc.bad {
				r := m.Map("1", attrs("in", v.raw))
				if len(r.Faults) != 1 || r.Faults[0].Reason != v.want || r.Faults[0].Field != "x" {
					t.Errorf("%.80s: got %v %v, want %q", v.raw, r.Values, r.Faults, v.want)
				}
			}
		})
	}
}
