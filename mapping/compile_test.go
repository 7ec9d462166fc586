package mapping

import (
	"fmt"
	"strings"
	"testing"

	"dirsync"
)

var faultTarget = []dirsync.Field{
	{Name: "joining_date", Label: "Joining date", Type: dirsync.Date},
	{Name: "last_seen", Type: dirsync.DateTime},
	{Name: "office", Type: dirsync.Choice, Options: []string{"Berlin", "Chennai", "Redmond"}},
	{Name: "nowhere", Type: dirsync.Choice},
	{Name: "boss", Label: "Boss", Type: dirsync.Reference},
	{Name: "phone", Type: dirsync.Phone},
	{Name: "level", Type: dirsync.Number},
	{Name: "salary", Type: dirsync.Currency},
	{Name: "active", Type: dirsync.Boolean},
	{Name: "tags", Type: dirsync.TextList},
	{Name: "note", Type: dirsync.Text, MaxLength: 10},
	{Name: "old", Type: dirsync.Text, Refused: "the target makes it itself"},
	{Name: "colour", Type: "colour"},
	{Name: "odd_date", Type: dirsync.Date, Format: "month day"},
}

// TestCompileFaults has every mistake that a mapping can have, with the exact words in which it is told.
func TestCompileFaults(t *testing.T) {
	text := func(s string) *string { return &s }
	at := Position{7, 20}
	for _, tc := range []struct {
		spec Spec
		want string
	}{
		{Spec{Field: "joining_dat", From: "birthDay"}, `4:3: joining_dat: the target has no field joining_dat (did you mean joining_date?)`},
		{Spec{Field: "zzz", From: "birthDay"}, `4:3: zzz: the target has no field zzz`},
		{Spec{Field: "old", From: "surname"}, `4:3: old: old cannot be written: the target makes it itself`},
		{Spec{Field: "colour", From: "surname"}, `4:3: colour: colour is of the type "colour", which is not known`},
		{Spec{Field: "note"}, `4:3: note: note has no source (give exactly one of from, expr, entra and value)`},
		{Spec{Field: "note", From: "surname", Expr: "user.mail"}, `4:3: note: note has more than one source (give exactly one of from, expr, entra and value)`},
		{Spec{Field: "note", From: "surnam", FromPos: at}, `7:20: note: the source has no property surnam (did you mean surname?)`},
		{Spec{Field: "note", From: "employeeOrgData/divison"}, `4:3: note: the source has no property employeeOrgData/divison (did you mean employeeOrgData/division?)`},
		{Spec{Field: "joining_date", From: "hireDate", FromPos: at}, `7:20: joining_date: hireDate cannot be used: it is kept outside the directory, and its changes cannot be followed; use employeeHireDate`},

		// The types must be the same.
		{Spec{Field: "joining_date", From: "managerName", FromPos: at}, `7:20: joining_date: Manager name (text) cannot be mapped onto Joining date (date): the types must be the same (if Manager name holds dates, say how they are written: format: DD/MM/YYYY)`},
		{Spec{Field: "last_seen", From: "surname"}, `4:3: last_seen: surname (text) cannot be mapped onto last_seen (datetime): the types must be the same (if surname holds dates, say how they are written: format: DD/MM/YYYY HH:mm Z)`},
		{Spec{Field: "last_seen", From: "birthDay"}, `4:3: last_seen: birthDay (date) cannot be mapped onto last_seen (datetime): the types must be the same (map a property of the same type, or convert it with an expression)`},
		{Spec{Field: "level", From: "surname"}, `4:3: level: surname (text) cannot be mapped onto level (number): the types must be the same (if surname holds such values, say how they are written: format: 1,234.56)`},
		{Spec{Field: "active", From: "surname"}, `4:3: active: surname (text) cannot be mapped onto active (boolean): the types must be the same (if surname holds such values, say how they are written: format: yes/no)`},
		{Spec{Field: "salary", From: "surname"}, `4:3: salary: surname (text) cannot be mapped onto salary (currency): the types must be the same (if surname holds such values, say how they are written: format: EUR)`},
		{Spec{Field: "salary", From: "level"}, `4:3: salary: level (number) cannot be mapped onto salary (currency): the types must be the same (name the currency: format: EUR)`},
		{Spec{Field: "tags", From: "surname"}, `4:3: tags: surname (text) cannot be mapped onto tags (text list): the types must be the same (if surname holds several values, say what parts them: format: ";")`},
		{Spec{Field: "note", From: "employeeHireDate"}, `4:3: note: Hire date (datetime) cannot be mapped onto note (text): the types must be the same (say how the date is to be written: format: DD/MM/YYYY)`},
		{Spec{Field: "note", From: "level"}, `4:3: note: level (number) cannot be mapped onto note (text): the types must be the same (map a property of the same type, or convert it with an expression)`},
		{Spec{Field: "boss", From: "managerName"}, `4:3: boss: Manager name (text) cannot be mapped onto Boss (reference): the types must be the same (Boss refers to a person: map a property that does, such as manager)`},
		{Spec{Field: "note", From: "manager"}, `4:3: note: Manager (reference) cannot be mapped onto note (text): the types must be the same (Manager refers to a person: map it onto a reference)`},
		{Spec{Field: "boss", Expr: "user.manager ?? user.surname"}, `4:3: boss: the expression (text) cannot be mapped onto Boss (reference): the types must be the same (Boss refers to a person: map a property that does, such as manager)`},
		{Spec{Field: "boss", Entra: "[surname]"}, `4:3: boss: surname (text) cannot be mapped onto Boss (reference): the types must be the same (Boss refers to a person: map a property that does, such as manager)`},
		{Spec{Field: "joining_date", Expr: "user.managerName", ExprPos: at}, `7:20: joining_date: the expression (text) cannot be mapped onto Joining date (date): the types must be the same (if the expression holds dates, say how they are written: format: DD/MM/YYYY)`},
		{Spec{Field: "joining_date", Entra: "[managerName]", EntraPos: at}, `7:20: joining_date: Manager name (text) cannot be mapped onto Joining date (date): the types must be the same (if Manager name holds dates, say how they are written: format: DD/MM/YYYY)`},
		{Spec{Field: "level", Expr: "user.accountEnabled"}, `4:3: level: the expression (boolean) cannot be mapped onto level (number): the types must be the same (map a property of the same type, or convert it with an expression)`},
		{Spec{Field: "tags", Entra: `Append([surname], "x")`}, `4:3: tags: the expression (text) cannot be mapped onto tags (text list): the types must be the same (if the expression holds several values, say what parts them: format: ";")`},

		// Formats.
		{Spec{Field: "joining_date", From: "surname", Format: "dd/mm/yyyy", FormatPos: at}, `7:20: joining_date: the format cannot be used: dd/mm/yyyy holds "d", which is no part of a date (a format is made of YYYY, MM, DD, HH, mm, ss and Z, for instance DD/MM/YYYY)`},
		{Spec{Field: "joining_date", From: "surname", Format: "DD/MM"}, `4:3: joining_date: the format cannot be used: DD/MM lacks a day, a month or a year (a format is made of YYYY, MM, DD, HH, mm, ss and Z, for instance DD/MM/YYYY)`},
		{Spec{Field: "joining_date", From: "surname", Format: "DD/DD/YYYY"}, `4:3: joining_date: the format cannot be used: DD/DD/YYYY has DD twice (a format is made of YYYY, MM, DD, HH, mm, ss and Z, for instance DD/MM/YYYY)`},
		{Spec{Field: "last_seen", From: "surname", Format: "DD/MM/YYYY"}, `4:3: last_seen: the format DD/MM/YYYY has no time of day (write DD/MM/YYYY HH:mm Z, or map it onto a date)`},
		{Spec{Field: "last_seen", From: "surname", Format: "DD/MM/YYYY HH:mm"}, `4:3: last_seen: the format DD/MM/YYYY HH:mm names no time zone (end it in Z, or in a zone: DD/MM/YYYY HH:mm [Europe/Berlin])`},
		{Spec{Field: "last_seen", From: "surname", Format: "DD/MM/YYYY HH:mm [Europe/Atlantis]"}, `4:3: last_seen: the format cannot be used: DD/MM/YYYY HH:mm [Europe/Atlantis] ends in a time zone that is not known (a format is made of YYYY, MM, DD, HH, mm, ss and Z, for instance DD/MM/YYYY)`},
		{Spec{Field: "level", From: "surname", Format: "1.234"}, `4:3: level: the format 1.234 cannot be used (write the number 1234.56 as the source does: 1.234,56 or 1,234.56 or 1234,56)`},
		{Spec{Field: "salary", From: "level", Format: "EURO"}, `4:3: salary: the format EURO cannot be used (write the currency, how numbers are written, or both: EUR 1.234,56)`},
		{Spec{Field: "salary", From: "level", Format: "QQQ"}, `4:3: salary: the currency QQQ is not known (write its ISO 4217 code: EUR)`},
		{Spec{Field: "active", From: "surname", Format: "yes"}, `4:3: active: the format yes cannot be used (write the two words, the one for true first: yes/no)`},
		{Spec{Field: "phone", From: "surname", Format: "Germany"}, `4:3: phone: the format Germany is not the code of a country (write the two letters of ISO 3166: DE)`},
		{Spec{Field: "note", From: "surname", Format: "x"}, `4:3: note: a format means nothing for text (remove it)`},
		{Spec{Field: "nowhere", From: "surname"}, `4:3: nowhere: nowhere is a choice, but the target names no options`},
		{Spec{Field: "odd_date", From: "birthDay"}, `4:3: odd_date: the format of odd_date in the target cannot be used: month day holds "m", which is no part of a date (a format is made of YYYY, MM, DD, HH, mm, ss and Z, for instance DD/MM/YYYY)`},

		// Constants, defaults and empty values.
		{Spec{Field: "joining_date", Value: text("June sixth"), ValuePos: at}, `7:20: joining_date: the constant "June sixth" is not a date in the form YYYY-MM-DD`},
		{Spec{Field: "office", Value: text("Berlln")}, `4:3: office: the constant "Berlln" is none of the options; the nearest is Berlin`},
		{Spec{Field: "note", Value: text("far too long")}, `4:3: note: the constant "far too long" is longer than 10 characters`},
		{Spec{Field: "office", From: "officeLocation", Default: text("Paris"), DefaultPos: at}, `7:20: office: the default "Paris" is none of the options`},
		{Spec{Field: "office", From: "officeLocation", Default: text(" ")}, `4:3: office: the default is empty`},
		{Spec{Field: "note", From: "surname", WhenNull: "skip", WhenNullPos: at}, `7:20: note: when_null is keep, clear or default, not skip`},
		{Spec{Field: "note", From: "surname", WhenNull: "default"}, `4:3: note: when_null is default, but there is no default (add default: and the value)`},
		{Spec{Field: "note", From: "surname", WhenNull: "keep", Default: text("x")}, `4:3: note: there is a default, but when_null is keep (remove one of the two)`},

		// Expressions. Columns are those of the configuration.
		{Spec{Field: "note", Expr: "user.givenName ?? user.surnam", ExprPos: at}, `7:43: note: the source has no property surnam (did you mean surname?)`},
		{Spec{Field: "note", Expr: "user.givenName +\n  user.hireDate", ExprPos: at}, `8:27: note: hireDate cannot be used: it is kept outside the directory, and its changes cannot be followed; use employeeHireDate`},
		{Spec{Field: "note", Expr: "user.givenName ??", ExprPos: at}, `7:36: note: the expression cannot be understood: unexpected token EOF`},
		{Spec{Field: "note", Expr: "lowr(user.givenName)", ExprPos: at}, `7:20: note: there is no function lowr (did you mean lower?)`},
		{Spec{Field: "note", Expr: "lower(user.level)", ExprPos: at}, `7:31: note: lower cannot be called with a number here (lower(text))`},
		{Spec{Field: "note", Expr: "lower()", ExprPos: at}, `7:20: note: lower cannot be called with 0 values (lower(text))`},
		{Spec{Field: "note", Expr: "surname", ExprPos: at}, `7:20: note: there is nothing called surname (did you mean user.surname?)`},
		{Spec{Field: "note", Expr: "user", ExprPos: at}, `7:20: note: user alone is no value (name a property: user.mail)`},
		{Spec{Field: "note", Expr: "nil"}, `4:3: note: the expression never gives anything`},
		{Spec{Field: "note", Expr: "[1, 2]"}, `4:3: note: the expression gives a list of something other than texts`},
		{Spec{Field: "note", Expr: "1..9"}, `4:3: note: ranges are not available`},
		{Spec{Field: "note", Expr: `{"a": 1}`}, `4:3: note: this is not available in a mapping`},
		{Spec{Field: "note", Expr: `user.surname[0:3]`}, `4:3: note: parts of texts and lists are not taken with [:] (use left(text, 3), right(text, 3) or mid(text, 1, 3))`},
		{Spec{Field: "note", Expr: `user.surname[0]`}, `4:3: note: what is indexed must be a list, but is text`},
		{Spec{Field: "note", Expr: `user.employeeHireDate.Year()`}, `4:3: note: a value has no functions of its own (write lower(user.mail))`},
		{Spec{Field: "note", Expr: `user.surname.length`}, `4:3: note: the source has no property surname/length`},
		{Spec{Field: "note", Expr: `user.accountEnabled ? "a" : 1`}, `4:3: note: both results must be of the same type, but one is text and one a number`},
		{Spec{Field: "note", Expr: `user.surname ? "a" : "b"`}, `4:3: note: a condition must be true or false, but is text`},
		{Spec{Field: "note", Expr: `user.level == "7" ? "a" : "b"`}, `4:3: note: what is compared must be of the same type, but one is a number and one text`},
		{Spec{Field: "note", Expr: `all(user.proxyAddresses, any(user.businessPhones, # == "x")) ? "a" : "b"`}, `4:3: note: any cannot be used inside another function that goes through a list`},
		{Spec{Field: "note", Expr: `user.surname matches user.mail ? "a" : "b"`}, `4:3: note: a pattern must be a constant text`},
		{Spec{Field: "note", Expr: `user.surname matches "(" ? "a" : "b"`, ExprPos: at}, `7:41: note: the pattern cannot be used: missing closing ): ` + "`(`"},
		{Spec{Field: "note", Expr: `user.surname matches "a(?=b)" ? "a" : "b"`}, `4:3: note: the pattern cannot be used: looking ahead and behind is not available`},
		{Spec{Field: "note", Expr: `user.surname matches "((a{100}){100}){100}" ? "a" : "b"`}, `4:3: note: the pattern cannot be used: invalid repeat count: ` + "`{100}`"},
		{Spec{Field: "note", Expr: strings.Repeat("1+", 200) + "1"}, `4:3: note: the expression cannot be understood: it has more than 200 parts`},
		{Spec{Field: "note", Expr: strings.Repeat("(", 9000)}, `4:3: note: the expression cannot be understood: unexpected token EOF`},
		{Spec{Field: "note", Expr: strings.Repeat(" ", 10001) + "1"}, `4:3: note: the expression has 10002 characters, and at most 10000 are allowed`},
		{Spec{Field: "note", Expr: `format(user.birthDay, "d/m/y")`}, `4:3: note: the format cannot be used: d/m/y holds "d", which is no part of a date (a format is made of YYYY, MM, DD, HH, mm, ss and Z, for instance DD/MM/YYYY)`},
		{Spec{Field: "note", Expr: `format(user.birthDay, user.surname)`}, `4:3: note: a format must be a constant text (format(user.employeeHireDate, "DD/MM/YYYY"))`},

		// Entra's language.
		{Spec{Field: "note", Entra: `Append([surname], "x"`, EntraPos: at}, `7:26: note: the bracket of Append is never closed`},
		{Spec{Field: "note", Entra: `Append([surnam], "x")`, EntraPos: at}, `7:27: note: the source has no property surnam (did you mean surname?)`},
		{Spec{Field: "note", Entra: `append([surname], "x")`, EntraPos: at}, `7:20: note: there is no function append (did you mean Append?)`},
		{Spec{Field: "note", Entra: `Append([surname])`}, `4:3: note: Append cannot be called with 1 values (write Append([attribute], "suffix"))`},
		{Spec{Field: "note", Entra: `Append(, "x")`, EntraPos: at}, `7:27: note: value 1 of Append is missing (write Append([attribute], "suffix"))`},
		{Spec{Field: "note", Entra: `Append(surname, "x")`, EntraPos: at}, `7:27: note: surname is neither an attribute nor a text nor a function (write [surname] for an attribute, "surname" for a text or surname(...) for a function)`},
		{Spec{Field: "note", Entra: `Append([surname, "x")`, EntraPos: at}, `7:27: note: the [ has no ]`},
		{Spec{Field: "note", Entra: `Append([surname], "x)`, EntraPos: at}, `7:38: note: the quotation mark is never closed`},
		{Spec{Field: "note", Entra: `Append([surname], "\d")`, EntraPos: at}, `7:39: note: a single backslash stands before neither a backslash nor a quotation mark (write \\ for a backslash)`},
		{Spec{Field: "note", Entra: `Append([surname] "x")`, EntraPos: at}, `7:37: note: a comma or a closing bracket is expected, but here is "`},
		{Spec{Field: "note", Entra: `Append([surname], "x") y`, EntraPos: at}, `7:43: note: nothing may follow the expression, but here is y`},
		{Spec{Field: "note", Entra: `Left([surname], 3x)`, EntraPos: at}, `7:36: note: 3x is not a number`},
		{Spec{Field: "note", Entra: `+`, EntraPos: at}, `7:20: note: a value is expected, but here is + (write [attribute], "text" or a function)`},
		{Spec{Field: "note", Entra: ` `, EntraPos: at}, `7:20: note: the expression is empty`},
		{Spec{Field: "note", Entra: `Append([surname] = "x", "y")`, EntraPos: at}, `7:37: note: a comparison with = can only stand in IIF and CBool`},
		{Spec{Field: "note", Entra: `IIF(IsPresent([surname]), "a", "b")`, EntraPos: at}, `7:24: note: IIF cannot ask with IsPresent whether something is empty (write Switch([country], [country], "", "Other"))`},
		{Spec{Field: "note", Entra: `IIF([surname]="", "a", "b")`, EntraPos: at}, `7:33: note: IIF cannot ask whether something is empty (write Switch([country], [country], "", "Other"))`},
		{Spec{Field: "note", Entra: `Switch([surname], "d", "k", "v", "k2")`}, `4:3: note: the keys and values of Switch must come in pairs (write Switch([attribute], "default", "key", "value"), the default empty or not)`},
		{Spec{Field: "note", Entra: `Now()`}, `4:3: note: Now cannot be used: its result changes with the clock, and a plan must come out the same whenever it is made (compare with a fixed date, or filter where the users are used)`},
		{Spec{Field: "note", Entra: `Guid()`}, `4:3: note: Guid cannot be used: its result is another one every time, so every user would be updated at every run (use [objectId], which is unique and stays the same)`},
		{Spec{Field: "note", Entra: `RandomString(6,3,0,0,3)`}, `4:3: note: RandomString cannot be used: its result is another one every time, so every user would be updated at every run (leave initial passwords to the target)`},
		{Spec{Field: "note", Entra: `SelectUniqueValue([surname], [mail])`}, `4:3: note: SelectUniqueValue cannot be used: it has to ask the target, which a mapping never does (map one rule; a value that somebody else has is reported for that person)`},
		{Spec{Field: "note", Entra: `DateAdd("q", 1, CDate([surname]))`, EntraPos: at}, `7:28: note: DateAdd does not know the interval "q" (write one of yyyy m d ww w h n s)`},
		{Spec{Field: "note", Entra: `FormatDateTime([surname], , "MM/dd", "yyyy")`, EntraPos: at}, `7:48: note: the format "MM/dd" cannot be used: it lacks a day, a month or a year (write a .NET format such as "yyyy-MM-dd")`},
		{Spec{Field: "note", Entra: `InStr([surname], "x", 1, "how")`, EntraPos: at}, `7:45: note: InStr does not know this way to compare (write vbBinaryCompare or vbTextCompare)`},
		{Spec{Field: "note", Entra: `ToLower([surname], "klingon-language")`, EntraPos: at}, `7:39: note: the culture "klingon-language" is not known (write a culture such as "tr-TR")`},
		{Spec{Field: "note", Entra: `Replace([surname], "a")`}, `4:3: note: Replace needs an old value with a replacement or a template, or a pattern (write Replace([attribute], "old", , , "new", , ))`},
		{Spec{Field: "note", Entra: `Replace([surname], , "a", , , , )`}, `4:3: note: Replace with a pattern needs a replacement, or a group and an attribute, and nothing else (write Replace([attribute], , "pattern", , "new", , ))`},
		{Spec{Field: "note", Entra: `Replace([surname], , "(a", , "b", , )`, EntraPos: at}, `7:41: note: the pattern cannot be used: missing closing ): ` + "`(a`"},
		{Spec{Field: "note", Entra: `Replace([surname], , "(?<x>a)", "y", "b", , )`, EntraPos: at}, `7:52: note: the pattern has no group of this name`},
		{Spec{Field: "note", Entra: `Replace([surname], , [mail], , "b", , )`, EntraPos: at}, `7:41: note: the pattern must be a constant text`},
		{Spec{Field: "note", Entra: strings.Repeat("ToLower(", 60) + "[surname]" + strings.Repeat(")", 60)}, `4:3: note: more than 50 functions stand inside one another`},
		{Spec{Field: "note", Entra: `"` + strings.Repeat("x", 10_000) + `"`}, `4:3: note: the expression has 10002 characters, and at most 10000 are allowed`},
	} {
		tc.spec.Pos = Position{4, 3}
		m, problems := Compile(append([]Spec{tc.spec}, constants()...), Expression{}, exprSource, with(faultTarget...))
		if m != nil || len(problems) != 1 {
			t.Errorf("%s: got %d problems, want one: %v", tc.want, len(problems), problems)
			continue
		}
		got := problems[0].String()
		if got != tc.want {
			t.Errorf("\ngot  %s\nwant %s", got, tc.want)
		}
	}
}

// TestAllFaultsAtOnce shows that every mistake is told, in the order of the file, those of the whole last.
func TestAllFaultsAtOnce(t *testing.T) {
	m, problems := Compile([]Spec{
		{Field: "email", From: "mial", Pos: Position{9, 3}, FromPos: Position{9, 10}},
		{Field: "first_name", From: "givenName", Pos: Position{3, 3}},
		{Field: "first_name", From: "surname", Pos: Position{12, 3}},
		{Field: "joining_date", From: "managerName", Pos: Position{4, 3}, FromPos: Position{4, 17}},
	}, Expression{`user.userTyp == "Member"`, Position{2, 8}}, exprSource, with(faultTarget...))
	if m != nil {
		t.Error("got a mapping")
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	want := []string{
		`2:13: where: the source has no property userTyp`,
		`4:17: joining_date: Manager name (text) cannot be mapped onto Joining date (date): the types must be the same (if Manager name holds dates, say how they are written: format: DD/MM/YYYY)`,
		`9:3: last_name: last_name is required, but is not mapped (add last_name: and the property that it comes from)`,
		`9:10: email: the source has no property mial (did you mean mail?)`,
		`12:3: first_name: first_name is mapped already, at 3:3`,
	}
	if fmt.Sprint(strings.Join(got, "\n")) != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMandatoryFieldsMustBeMapped(t *testing.T) {
	_, problems := Compile(nil, Expression{}, exprSource, Mandatory())
	var got []string
	for _, p := range problems {
		got = append(got, p.Field+" "+p.Message)
	}
	want := "email email is required, but is not mapped; first_name first_name is required, but is not mapped; last_name last_name is required, but is not mapped"
	if strings.Join(got, "; ") != want {
		t.Errorf("got %q", got)
	}
}

func TestWhereFaults(t *testing.T) {
	for where, want := range map[string]string{
		`user.department`:              `2:8: where: the scope must be true or false, but is text (compare something: user.userType == "Member")`,
		`user.department = "x"`:        `2:24: where: the expression cannot be understood: unexpected token Operator("=") (compare with ==)`,
		`user.hireDate > date("2019")`: `2:13: where: hireDate cannot be used: it is kept outside the directory, and its changes cannot be followed; use employeeHireDate`,
	} {
		_, problems := Compile(constants(), Expression{where, Position{2, 8}}, exprSource, Mandatory())
		if len(problems) != 1 || problems[0].String() != want {
			t.Errorf("%s: got %v, want %s", where, problems, want)
		}
	}
}
