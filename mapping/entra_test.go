package mapping

import (
	"strings"
	"testing"
	"time"

	"dirsync"
)

// TestEntraFunctions runs every function against the example in Microsoft's reference where it has one, and against
// what the reference says in words where it has none.
func TestEntraFunctions(t *testing.T) {
	source := []dirsync.Field{}
	for _, name := range strings.Fields(`userPrincipalName attribute1 attribute2 StatusHireDate mail dn department displayName
		country state extensionAttribute1 extensionAttribute5 prefix directManager skiplevelManager director givenName surname
		firstName lastName BusinessTitle UserID telephoneNumber mobile AddressLineData mailNickname PreferredFirstName
		PreferredLastName statusFlag Active ContractEndDate endDate companyName when1 when2`) {
		source = append(source, dirsync.Field{Name: name, Type: dirsync.Text})
	}
	source = append(source, dirsync.Field{Name: "proxyAddresses", Type: dirsync.TextList}, dirsync.Field{Name: "appRoleAssignments", Type: dirsync.TextList},
		dirsync.Field{Name: "accountEnabled", Type: dirsync.Boolean}, dirsync.Field{Name: "lastLogonTimestamp", Type: dirsync.Number},
		dirsync.Field{Name: "mobilePhone", Type: dirsync.Text}, dirsync.Field{Name: "manager", Type: dirsync.Reference})
	field := dirsync.Field{Name: "x", Type: dirsync.Text}
	list := dirsync.Field{Name: "x", Type: dirsync.TextList}
	yes := dirsync.Field{Name: "x", Type: dirsync.Boolean}
	for _, tc := range []struct {
		expr string
		in   dirsync.Attributes
		want string
		as   dirsync.Field
	}{
		{`Append([userPrincipalName], ".test")`, attrs("userPrincipalName", `"John.Doe@contoso.com"`), `"John.Doe@contoso.com.test"`, field},
		{`Append([userPrincipalName], ".test")`, nil, `null`, field},
		{`BitAnd(&HF, &HF7)`, nil, `"7"`, field},
		{`BitAnd([state], 4)`, attrs("state", `"12"`), `"4"`, field},
		{`BitAnd([state], 4)`, attrs("state", `"x"`), `fault: cannot be worked out: the first value of BitAnd must be a whole number, but is "x"`, field},
		{`CBool([attribute1] = [attribute2])`, attrs("attribute1", `"a"`, "attribute2", `"a"`), `true`, yes},
		{`CBool([attribute1] = [attribute2])`, attrs("attribute1", `"a"`, "attribute2", `"A"`), `false`, yes},
		{`CBool([attribute1])`, attrs("attribute1", `"0"`), `"False"`, field},
		{`CBool([attribute1])`, attrs("attribute1", `"12"`), `"True"`, field},
		{`CBool([attribute1])`, attrs("attribute1", `"maybe"`), `fault: cannot be worked out: "maybe" is neither True nor False nor a number`, field},
		{`Append(CDate([StatusHireDate]), "")`, attrs("StatusHireDate", `"2020-03-16-07:00"`), `"3/16/2020 7:00:00 AM"`, field},
		{`Append(CDate("2021-06-30+08:00"), "")`, nil, `"6/29/2021 4:00:00 PM"`, field},
		{`Append(CDate("2009-06-15T01:45:30-07:00"), "")`, nil, `"6/15/2009 8:45:30 AM"`, field},
		{`Append(CDate("6/15/2009 8:45:30 AM"), "")`, nil, `"6/15/2009 8:45:30 AM"`, field},
		{`CStr(CDate("June sixth"))`, nil, `fault: cannot be worked out: "June sixth" is not a date`, field},
		{`Coalesce([mail],[userPrincipalName])`, attrs("userPrincipalName", `"John.Doe@contoso.com"`), `"John.Doe@contoso.com"`, field},
		{`Coalesce([mail],[userPrincipalName],"none")`, attrs("mail", `null`), `"none"`, field},
		{`Coalesce([mail],[userPrincipalName])`, attrs(), `null`, field},
		{`ConvertToBase64("Hello world!")`, nil, `"SABlAGwAbABvACAAdwBvAHIAbABkACEA"`, field},
		{`ConvertToUTF8Hex("Hello world!")`, nil, `"48656C6C6F20776F726C6421"`, field},
		{`Count([proxyAddresses])`, attrs("proxyAddresses", `["a","b"]`), `"2"`, field},
		{`Count([proxyAddresses])`, nil, `"0"`, field},
		{`CStr([dn])`, attrs("dn", `"cn=Joe,dc=contoso,dc=com"`), `"cn=Joe,dc=contoso,dc=com"`, field},
		{`CStr([accountEnabled])`, attrs("accountEnabled", `false`), `"False"`, field},
		{`DateAdd("d", 7, CDate([StatusHireDate]))`, attrs("StatusHireDate", `"2012-03-16-07:00"`), "3/23/2012 7:00:00 AM", field},
		{`DateAdd("d", -10, CDate([StatusHireDate]))`, attrs("StatusHireDate", `"2012-03-16-07:00"`), "3/6/2012 7:00:00 AM", field},
		{`DateAdd("ww", 2, CDate([StatusHireDate]))`, attrs("StatusHireDate", `"2012-03-16-07:00"`), "3/30/2012 7:00:00 AM", field},
		{`DateAdd("m", 10, CDate([StatusHireDate]))`, attrs("StatusHireDate", `"2012-03-16-07:00"`), "1/16/2013 7:00:00 AM", field},
		{`DateAdd("yyyy", 2, CDate([StatusHireDate]))`, attrs("StatusHireDate", `"2012-03-16-07:00"`), "3/16/2014 7:00:00 AM", field},
		{`DateAdd("m", 1, CDate("2021-01-31"))`, nil, "2/28/2021 12:00:00 AM", field},
		{`DateAdd("h", 25, CDate("2021-01-31"))`, nil, "2/1/2021 1:00:00 AM", field},
		{`DateAdd("n", -1, CDate("2021-01-31"))`, nil, "1/30/2021 11:59:00 PM", field},
		{`DateAdd("s", 1, CDate("2021-01-31"))`, nil, "1/31/2021 12:00:01 AM", field},
		{`DateAdd("yyyy", 9000, CDate("2021-01-31"))`, nil, `fault: cannot be worked out: the result is no date between the years 1 and 9999`, field},
		{`DateDiff("d", CDate([when1]), CDate([when2]))`, attrs("when1", `"2021-08-18+08:00"`, "when2", `"2021-08-31+08:00"`), `"13"`, field},
		{`DateDiff("d", CDate([when1]), CDate([when2]))`, attrs("when1", `"8/25/2021 5:41:18 PM"`, "when2", `"2012-03-16-07:00"`), `"-3449"`, field},
		{`DateDiff("ww", CDate([when1]), CDate([when2]))`, attrs("when1", `"8/25/2021 5:41:18 PM"`, "when2", `"2012-03-16-07:00"`), `"-493"`, field},
		{`DateDiff("m", CDate([when1]), CDate([when2]))`, attrs("when1", `"8/25/2021 5:41:18 PM"`, "when2", `"2012-03-16-07:00"`), `"-113"`, field},
		{`DateDiff("yyyy", CDate([when1]), CDate([when2]))`, attrs("when1", `"8/25/2021 5:41:18 PM"`, "when2", `"2012-03-16-07:00"`), `"-9"`, field},
		{`DateDiff("d", CDate([when1]), CDate([when2]))`, attrs("when1", `"2021-08-31+08:00"`, "when2", `"2021-08-31+08:00"`), `"0"`, field},
		{`DateDiff("h", CDate([when1]), CDate([when2]))`, attrs("when1", `"2021-08-24"`, "when2", `"2021-08-25"`), `"24"`, field},
		{`DateDiff("n", CDate([when1]), CDate([when2]))`, attrs("when1", `"2021-08-24"`, "when2", `"2021-08-25"`), `"1440"`, field},
		{`DateDiff("s", CDate([when1]), CDate([when2]))`, attrs("when1", `"2021-08-24"`, "when2", `"2021-08-25"`), `"86400"`, field},
		{`Switch([Active], , "1", IIF(DateDiff("d", CDate("2021-08-24"), CDate([StatusHireDate])) > 5, "False", "True"), "0", "False")`,
			attrs("Active", `"1"`, "StatusHireDate", `"2021-08-30"`), `false`, yes},
		{`Switch([Active], , "1", IIF(DateDiff("d", CDate("2021-08-24"), CDate([StatusHireDate])) > 5, "False", "True"), "0", "False")`,
			attrs("Active", `"0"`, "StatusHireDate", `"never looked at"`), `false`, yes},
		{`DateFromNum(129699324000000000)`, nil, `"2012-01-01T23:00:00Z"`, dirsync.Field{Name: "x", Type: dirsync.DateTime}},
		{`DateFromNum([lastLogonTimestamp])`, attrs("lastLogonTimestamp", `129699324000000000`), `"2012-01-01"`, dirsync.Field{Name: "x", Type: dirsync.Date}},
		{`FormatDateTime([extensionAttribute1], , "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")`, attrs("extensionAttribute1", `"20150123105347.1Z"`), `"2015-01-23"`, field},
		{`FormatDateTime([extensionAttribute1], , "dd/MM/yyyy", "dddd d MMMM yyyy h:mm tt zzz")`, attrs("extensionAttribute1", `"06/06/2019"`), `"Thursday 6 June 2019 12:00 AM +00:00"`, field},
		{`FormatDateTime([extensionAttribute1], , "dd/MM/yyyy", "yyyy")`, attrs("extensionAttribute1", `"June sixth"`), `fault: cannot be worked out: "June sixth" is not a date in the form dd/MM/yyyy`, field},
		{`IgnoreFlowIfNullOrEmpty([department])`, nil, `left`, field},
		{`IgnoreFlowIfNullOrEmpty([department])`, attrs("department", `"Sales"`), `"Sales"`, field},
		{`IgnoreFlowIfNullOrEmpty(Switch([prefix], "", "3443", "Dr.", "3444", "Prof.", "3445", "Prof. Dr."))`, attrs("prefix", `"3444"`), `"Prof."`, field},
		{`IgnoreFlowIfNullOrEmpty(Switch([prefix], "", "3443", "Dr.", "3444", "Prof.", "3445", "Prof. Dr."))`, attrs("prefix", `"1"`), `left`, field},
		{`IIF([country]="USA",[country],[department])`, attrs("country", `"USA"`, "department", `"Sales"`), `"USA"`, field},
		{`IIF([country]="USA",[country],[department])`, attrs("country", `"usa"`, "department", `"Sales"`), `"Sales"`, field},
		{`IIF([country]="USA",IIF([state]="CA","True","False"),"False")`, attrs("country", `"USA"`, "state", `"CA"`), `true`, yes},
		{`IIF([country]="USA","True",IIF([state]="CA","True","False"))`, attrs("state", `"CA"`), `true`, yes},
		{`IIF([country]<>"USA","a","b")`, nil, `"b"`, field},
		{`IIF([state]>=9,"a","b")`, attrs("state", `"10"`), `"a"`, field},
		{`IIF([state]<=9,"a","b")`, attrs("state", `"10"`), `"b"`, field},
		{`IIF([state]<[country],"a","b")`, attrs("state", `"A"`, "country", `"B"`), `"a"`, field},
		{`IIF([state]="7","a","b")`, attrs("state", `"007"`), `"b"`, field},
		{`IIF([state]=7,"a","b")`, attrs("state", `"007"`), `"a"`, field},
		{`Switch([country],[country],"","Other")`, nil, `"Other"`, field},
		{`InStr("The quick brown fox","quick")`, nil, `"5"`, field},
		{`InStr("repEated","e",3,vbBinaryCompare)`, nil, `"7"`, field},
		{`InStr("repEated","e",3,vbTextCompare)`, nil, `"4"`, field},
		{`InStr("Zoë ë","ë",4)`, nil, `"5"`, field},
		{`InStr("fox","dog")`, nil, `"0"`, field},
		{`InStr("fox","x",0)`, nil, `fault: cannot be worked out: InStr counts from 1, not from 0`, field},
		{`IsNull([displayName])`, nil, `true`, yes},
		{`IsNull([displayName])`, attrs("displayName", `"x"`), `false`, yes},
		{`IsNullOrEmpty([displayName])`, attrs("displayName", `""`), `true`, yes},
		{`IsPresent([displayName])`, attrs("displayName", `"x"`), `true`, yes},
		{`IsString([displayName])`, attrs("displayName", `"x"`), `true`, yes},
		{`IsString([proxyAddresses])`, attrs("proxyAddresses", `["a","b"]`), `false`, yes},
		{`Item([proxyAddresses], 1)`, attrs("proxyAddresses", `["a","b"]`), `"a"`, field},
		{`Item([proxyAddresses], 2)`, attrs("proxyAddresses", `["a","b"]`), `"b"`, field},
		{`Item([proxyAddresses], 3)`, attrs("proxyAddresses", `["a","b"]`), `null`, field},
		{`Item([proxyAddresses], 0)`, attrs("proxyAddresses", `["a","b"]`), `fault: cannot be worked out: Item counts from 1, not from 0`, field},
		{`Join(", ", "", [surname], [givenName])`, attrs("givenName", `"John"`, "surname", `"Doe"`), `"Doe, John"`, field},
		{`Join("-", [proxyAddresses], "c")`, attrs("proxyAddresses", `["a","","b"]`), `"a-b-c"`, field},
		{`Join("", 1000, Replace(ConvertToUTF8Hex("a-1"), , "[a-zA-Z_]*", , "", , ))`, nil, `"100061231"`, field},
		{`Left("John Doe", 3)`, nil, `"Joh"`, field},
		{`Left("John Doe", 99)`, nil, `"John Doe"`, field},
		{`Left("John Doe", 0)`, nil, `null`, field},
		{`Left("John Doe", -1)`, nil, `"John Doe"`, field},
		{`Left([mail], 3)`, nil, `null`, field},
		{`Left("Zoë", 3)`, nil, `"Zoë"`, field},
		{`Append(Mid([givenName], 1, 3), Mid([surname], 1, 5))`, attrs("givenName", `"John"`, "surname", `"Doe"`), `"JohDoe"`, field},
		{`Mid("abc", 2, 9)`, nil, `"bc"`, field},
		{`Mid("abc", 4, 1)`, nil, `null`, field},
		{`Mid("abc", 0, 1)`, nil, `fault: cannot be worked out: Mid counts from 1 and takes no length below 0, here 0 and 1`, field},
		{`NormalizeDiacritics([givenName])`, attrs("givenName", `"Zoë"`), `"Zoe"`, field},
		{`NormalizeDiacritics("äàâãåáąăāǟ æǣ çčć ďḏ ëèéêęěėē ğ ïîìíı ľłḹ ñńň öòőõôóȫ øœ řṟ ß šśș ťț üùûúůű ÿý źžż")`, nil,
			`"aaaaaaaaaa aeae ccc dd eeeeeeee g iiiii lll nnn ooooooo oeoe rr ss sss tt uuuuuu yy zzz"`, field},
		{`NormalizeDiacritics("ŁØÆİÄ Ω क्ष")`, nil, `"LOEAEIA Ω क्ष"`, field},
		{`Not([accountEnabled])`, attrs("accountEnabled", `true`), `false`, yes},
		{`Not([accountEnabled])`, attrs("accountEnabled", `false`), `true`, yes},
		{`Not([IsSoftDeleted])`, attrs("accountEnabled", `true`), `true`, yes},
		{`Not([IsSoftDeleted])`, attrs("accountEnabled", `false`), `false`, yes},
		{`Switch([IsSoftDeleted], , "False", "True", "True", "False")`, attrs("accountEnabled", `true`), `true`, yes},
		{`NumFromDate(Join("", FormatDateTime([ContractEndDate], ,"yyyy-MM-ddzzz", "yyyy-MM-dd"), " 23:59:59-08:00"))`, attrs("ContractEndDate", `"2020-12-31-08:00"`), `"132539615990000000"`, field},
		{`NumFromDate(Join("",FormatDateTime([endDate], ,"M/d/yyyy hh:mm:ss tt","yyyy-MM-dd")," 23:59:59-08:00"))`, attrs("endDate", `"12/31/2020 12:00:00 AM"`), `"132539615990000000"`, field},
		{`PCase([firstName])`, attrs("firstName", `"PABLO GONSALVES (SECOND)"`), `"Pablo Gonsalves (Second)"`, field},
		{`PCase([lastName]," '-")`, attrs("lastName", `"PINTO-DE'SILVA"`), `"Pinto-De'Silva"`, field},
		{`PCase(Join(" ",[firstName],[lastName]))`, attrs("firstName", `"GREGORY"`, "lastName", `"JAMES"`), `"Gregory James"`, field},
		{`Redact([userPrincipalName])`, attrs("userPrincipalName", `"a@b"`), `"a@b"`, field},
		{`RemoveDuplicates([proxyAddresses])`, attrs("proxyAddresses", `["a","b","a"]`), `["a","b"]`, list},
		{`Replace([BusinessTitle],"Product Developer", , , "Software Engineer", , )`, attrs("BusinessTitle", `"Product Developer"`), `"Software Engineer"`, field},
		{`Replace([UserID],"<username>", , , , , "<username>@contoso.com")`, attrs("UserID", `"jsmith"`), `"jsmith@contoso.com"`, field},
		{`Replace([telephoneNumber], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", , "${phoneNumber}", , )`, attrs("telephoneNumber", `"+91 9998887777"`), `"9998887777"`, field},
		{`Replace([mobile], , "[()\\s-]+", , "", , )`, attrs("mobile", `"+1 (999) 888-7777"`), `"+19998887777"`, field},
		{`Replace([AddressLineData], ,"(?<streetNumber>^\\d*)","streetNumber", "888", , )`, attrs("AddressLineData", `"545 Tremont Street"`), `"888 Tremont Street"`, field},
		{`Replace([userPrincipalName], , "(?<Suffix>@(.)*)", "Suffix", "", , )`, attrs("userPrincipalName", `"jsmith@contoso.com"`), `"jsmith"`, field},
		{`Replace([telephoneNumber], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", "phoneNumber" , , [mobile], )`, attrs("telephoneNumber", `""`, "mobile", `"+91 8887779999"`), `"8887779999"`, field},
		{`Replace([mailNickname], , "[a-zA-Z_]*", , "", , )`, attrs("mailNickname", `"john_doe72"`), `"72"`, field},
		{`Replace([mail], "@contoso.com", , ,"", ,)`, attrs("mail", `"john.doe@contoso.com"`), `"john.doe"`, field},
		{`Replace("ab", , "(a)(b)", , "$2$1$$$&$9", , )`, nil, `"ba$ab$9"`, field},
		{`Replace("ab", , "(?<x>a)(b)", , "$1$2${x}$0", , )`, nil, `"baaab"`, field},
		{`Split([extensionAttribute5], ",")`, attrs("extensionAttribute5", `"PermissionSetOne, PermissionSetTwo"`), `["PermissionSetOne","PermissionSetTwo"]`, list},
		{`StripSpaces(" a b c ")`, nil, `"abc"`, field},
		{`Switch([state], "Australia/Sydney", "NSW", "Australia/Sydney","QLD", "Australia/Brisbane", "SA", "Australia/Adelaide")`, attrs("state", `"QLD"`), `"Australia/Brisbane"`, field},
		{`Switch([state], "Australia/Sydney", "NSW", "Australia/Sydney","QLD", "Australia/Brisbane", "SA", "Australia/Adelaide")`, attrs("state", `"qld"`), `"Australia/Sydney"`, field},
		{`Switch(ToLower([statusFlag]), "0", "true", "1", "false", "0")`, attrs("statusFlag", `"TRUE"`), `"1"`, field},
		{`Switch([statusFlag], "Default Value", "true", "1", "", "0")`, nil, `"0"`, field},
		{`Switch([companyName], , "a", "b")`, attrs("companyName", `"c"`), `null`, field},
		{`ToLower(Join("@", NormalizeDiacritics(StripSpaces(Join(".",  [PreferredFirstName], [PreferredLastName]))), "contoso.com"))`,
			attrs("PreferredFirstName", `"John"`, "PreferredLastName", `"Smith"`), `"john.smith@contoso.com"`, field},
		{`ToUpper("straße i")`, nil, `"STRAßE I"`, field},
		{`ToUpper("i", "tr-TR")`, nil, `"İ"`, field},
		{`ToLower("I", "tr-TR")`, nil, `"ı"`, field},
		{`Word("The quick brown fox",3," ")`, nil, `"brown"`, field},
		{`Word("This,string!has&many separators",3,",!&#")`, nil, `"has"`, field},
		{`Word("one two",3," ")`, nil, `null`, field},
		{`Word("one two",0," ")`, nil, `null`, field},
		{`SingleAppRoleAssignment([appRoleAssignments])`, attrs("appRoleAssignments", `["Admin"]`), `"Admin"`, field},
		{`SingleAppRoleAssignment([appRoleAssignments])`, attrs("appRoleAssignments", `["Admin","User"]`), `fault: cannot be worked out: the person has 2 roles, and SingleAppRoleAssignment takes one`, field},
		{`AppRoleAssignmentsComplex([appRoleAssignments])`, attrs("appRoleAssignments", `["Admin","User"]`), `["Admin","User"]`, list},
		{`AssertiveAppRoleAssignmentsComplex([appRoleAssignments])`, attrs("appRoleAssignments", `["Admin","User"]`), `["Admin","User"]`, list},
		{`Append([objectId], "!")`, nil, `"1!"`, field},
		{`Append("a \\ \"b\"", "")`, nil, `"a \\ \"b\""`, field},
	} {
		m, problems := Compile(append([]Spec{{Field: "x", Entra: tc.expr}}, constants()...), Expression{}, source, with(tc.as))
		if len(problems) > 0 {
			t.Errorf("%s: %v", tc.expr, problems)
			continue
		}
		if got := one(m.Map("1", tc.in), "x"); got != tc.want && got != `"`+tc.want+`"` {
			t.Errorf("%s\ngot  %s\nwant %s", tc.expr, got, tc.want)
		}
	}
}

// TestNormalizeDiacritics runs the whole table of Microsoft's reference.
func TestNormalizeDiacritics(t *testing.T) {
	for want, letters := range map[string]string{
		"a": "ä, à, â, ã, å, á, ą, ă, ā, ā́, ā̀, ā̂, ā̃, ǟ, ā̈, ǡ, a̱, å̄", "A": "Ä, À, Â, Ã, Å, Á, Ą, Ă, Ā, Ā́, Ā̀, Ā̂, Ā̃, Ǟ, Ā̈, Ǡ, A̱, Å̄",
		"ae": "æ, ǣ", "AE": "Æ, Ǣ", "c": "ç, č, ć, c̄, c̱", "C": "Ç, Č, Ć, C̄, C̱", "d": "ď, d̄, ḏ", "D": "Ď, D̄, Ḏ",
		"e": "ë, è, é, ê, ę, ě, ė, ē, ḗ, ḕ, ē̂, ē̃, ê̄, e̱, ë̄, e̊̄", "E": "Ë, È, É, Ê, Ę, Ě, Ė, Ē, Ḗ, Ḕ, Ē̂, Ē̃, Ê̄, E̱, Ë̄, E̊̄",
		"g": "ğ, ḡ, g̱", "G": "Ğ, Ḡ, G̱", "i": "ï, î, ì, í, ı, ī, ī́, ī̀, ī̂, ī̃, i̱", "I": "Ï, Î, Ì, Í, İ, Ī, Ī́, Ī̀, Ī̂, Ī̃, I̱",
		"l": "ľ, ł, l̄, ḹ, ḻ", "L": "Ł, Ľ, L̄, Ḹ, Ḻ", "n": "ñ, ń, ň, n̄, ṉ", "N": "Ñ, Ń, Ň, N̄, Ṉ",
		"o": "ö, ò, ő, õ, ô, ó, ō, ṓ, ṑ, ō̂, ō̃, ȫ, ō̈, ǭ, ȭ, ȱ, o̱", "O": "Ö, Ò, Ő, Õ, Ô, Ó, Ō, Ṓ, Ṑ, Ō̂, Ō̃, Ȫ, Ō̈, Ǭ, Ȭ, Ȱ, O̱",
		"oe": "ø, ø̄, œ̄", "OE": "Ø, Ø̄, Œ̄", "r": "ř, r̄, ṟ, ṝ", "R": "Ř, R̄, Ṟ, Ṝ", "ss": "ß", "s": "š, ś, ș, ş, s̄, s̱", "S": "Š, Ś, Ș, Ş, S̄, S̱",
		"t": "ť, ț, t̄, ṯ", "T": "Ť, Ț, T̄, Ṯ", "u": "ü, ù, û, ú, ů, ű, ū, ū́, ū̀, ū̂, ū̃, u̇̄, ǖ, ṻ, ṳ̄, u̱", "U": "Ü, Ù, Û, Ú, Ů, Ű, Ū, Ū́, Ū̀, Ū̂, Ū̃, U̇̄, Ǖ, Ṻ, Ṳ̄, U̱",
		"y": "ÿ, ý, ȳ, ȳ́, ȳ̀, ȳ̃, y̱", "Y": "Ÿ, Ý, Ȳ, Ȳ́, Ȳ̀, Ȳ̃, Y̱", "z": "ź, ž, ż, z̄, ẕ", "Z": "Ź, Ž, Ż, Z̄, Ẕ",
	} {
		for _, letter := range strings.Split(letters, ", ") {
			if got := withoutDiacritics(letter); got != want {
				t.Errorf("%s: got %q, want %q", letter, got, want)
			}
		}
	}
}

// TestNetLayouts writes and reads dates as .NET documents its custom format strings.
func TestNetLayouts(t *testing.T) {
	when := time.Date(2009, 6, 15, 13, 45, 30, 617_500_000, time.UTC)
	for layout, want := range map[string]string{
		"d/M/yy": "15/6/09", "dd.MM.yyyy": "15.06.2009", "ddd d MMM": "Mon 15 Jun", "dddd, dd MMMM yyyy": "Monday, 15 June 2009",
		"HH:mm:ss.f": "13:45:30.6", "HH:mm:ss.ffff": "13:45:30.6175", "HH:mm:ss.FFFFFF": "13:45:30.6175", "h:mm tt": "1:45 PM", "hh:mm t": "01:45 P",
		"H m s": "13 45 30", "yyyyMMddTHHmmssZ": "20090615T134530Z", "zzz zz z": "+00:00 +00 +0", "yyyy'y'MM\"m\"dd\\d": "2009y06m15d",
		"s": "2009-06-15T13:45:30", "u": "2009-06-15 13:45:30Z", "o": "2009-06-15T13:45:30.6175000Z", "d": "06/15/2009", "%d": "15", "yyyyy": "02009",
	} {
		l, err := parseNetLayout(layout)
		if err != nil {
			t.Errorf("%s: %v", layout, err)
			continue
		}
		if got := l.format(when); got != want {
			t.Errorf("%s: got %q, want %q", layout, got, want)
		}
	}
	for _, tc := range []struct{ layout, in, want string }{
		{"dd/MM/yyyy", "15/06/2009", "2009-06-15T00:00:00Z"}, {"d/M/yy", "5/6/09", "2009-06-05T00:00:00Z"}, {"d/M/yy", "5/6/50", "1950-06-05T00:00:00Z"},
		{"dddd, dd MMMM yyyy h:mm tt", "monday, 15 JUNE 2009 1:45 pm", "2009-06-15T13:45:00Z"}, {"yyyy-MM-dd hh:mm tt", "2009-06-15 12:00 AM", "2009-06-15T00:00:00Z"},
		{"yyyy-MM-ddzzz", "2009-06-15-07:00", "2009-06-15T07:00:00Z"}, {"yyyy-MM-ddK", "2009-06-15", "2009-06-15T00:00:00Z"}, {"yyyy-MM-ddK", "2009-06-15Z", "2009-06-15T00:00:00Z"},
		{"yyyy-MM-ddTHH:mm:ss.FFF", "2009-06-15T01:02:03.5", "2009-06-15T01:02:03.5Z"}, {"yyyyMMdd", " 20090615 ", "2009-06-15T00:00:00Z"},
		{"dd/MM/yyyy", "5/06/2009", ""}, {"dd/MM/yyyy", "31/02/2009", ""}, {"dd/MM/yyyy", "15/06/2009x", ""}, {"dd/MM/yyyy", "", ""}, {"yyyy-MM-dd hh tt", "2009-06-15 13 PM", ""},
		{"yyyy-MM-dd tt", "2009-06-15 XM", ""}, {"yyyy-MM-dd HH", "2009-06-15 24", ""}, {"yyyy-MM-ddzzz", "2009-06-15+15:00", ""}, {"yyyy MMM dd", "2009 Juni 15", ""},
	} {
		l, err := parseNetLayout(tc.layout)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if when, ok := l.parse(tc.in); ok {
			got = when.Format(time.RFC3339Nano)
		}
		if got != tc.want {
			t.Errorf("%q in %s: got %q, want %q", tc.in, tc.layout, got, tc.want)
		}
	}
	for layout, want := range map[string]string{"": "it is empty", "D": "D is not available", "'x": "a quotation mark is never closed", "x\\": "it ends in a backslash", "ddddd": "ddddd is too long"} {
		if _, err := parseNetLayout(layout); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", layout, err, want)
		}
	}
}

// TestHostileEntra shows that neither an expression nor a record can make a mapping hang or fill the memory.
func TestHostileEntra(t *testing.T) {
	big := strings.Repeat("a", 60000)
	var entries []string
	for range 1000 {
		entries = append(entries, `"`+strings.Repeat("b", 60)+`"`)
	}
	record := attrs("givenName", `"`+big+`"`, "surname", `"x"`, "proxyAddresses", "["+strings.Join(entries, ",")+"]", "level", `1e39`)
	nested := `[givenName]`
	for range 20 {
		nested = `Replace(` + nested + `, "a", , , [givenName], , )`
	}
	for e, want := range map[string]string{
		nested: `fault: the expression takes too long for this person`,
		`Append(Append([givenName], [givenName]), [givenName])`:                   `fault: cannot be worked out: the result is longer than 65536 bytes`,
		`Join([givenName], [proxyAddresses])`:                                     `fault: cannot be worked out: the result is longer than 65536 bytes`,
		`Replace([givenName], , "(a*)*(a*)*(a|a)*$", , "$0$0", , )`:               `fault: cannot be worked out: the result is longer than 65536 bytes`,
		`Left([surname], [level])`:                                                `fault: cannot be worked out: the number of characters of Left must be a whole number, but is "1000000000000000000000000000000000000000"`,
		`CStr(DateAdd("s", 9223372036854775807, CDate("2019-01-01")))`:            `fault: cannot be worked out: the result is no date between the years 1 and 9999`,
		`CStr(DateFromNum(9223372036854775807))`:                                  `fault: cannot be worked out: the result is no date between the years 1 and 9999`,
		`CStr(DateAdd("m", -9223372036854775808, CDate("2019-01-01")))`:           `fault: cannot be worked out: the result is no date between the years 1 and 9999`,
		`Mid([surname], 9223372036854775807, 9223372036854775807)`:                `null`,
		`Item(Split([givenName], "a"), 1)`:                                        `fault: cannot be worked out: the list has more than 1000 entries`,
		`Append([proxyAddresses], "x")`:                                           `fault: cannot be worked out: a list of 1000 entries stands where one text is expected; use Item or Join`,
		`Append([mail], "x")`:                                                     `null`,
		`FormatDateTime([givenName], , "yyyy-MM-dd", "yyyy")`:                     `fault: cannot be worked out: "` + strings.Repeat("a", 80) + `…" is not a date in the form yyyy-MM-dd`,
		`Count(RemoveDuplicates([proxyAddresses]))`:                               `"1"`,
		`Replace("x", , "(?<a>x)", "a", "` + strings.Repeat("y", 9000) + `", , )`: `"` + strings.Repeat("y", 9000) + `"`,
	} {
		if got := outcome(t, dirsync.Field{Name: "x", Type: dirsync.Text}, Spec{Entra: e}, record); got != want {
			t.Errorf("%.80s\ngot  %.200s\nwant %.200s", e, got, want)
		}
	}
}
