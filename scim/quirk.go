package scim

// Quirk is something in a request that the standard does not allow and that was understood nevertheless, or left out.
type Quirk struct {
	// Code is one of the constants below: stable, and fit to be counted.
	Code QuirkCode
	// Text says what was done, in a sentence for a log. It names attributes and positions, never values.
	Text string
}

// QuirkCode names a kind of quirk.
type QuirkCode string

// The kinds of quirk.
const (
	OpCase               QuirkCode = "opCase"               // "Replace" instead of "replace"
	StringBoolean        QuirkCode = "stringBoolean"        // "True" instead of true
	StringNumber         QuirkCode = "stringNumber"         // "5" instead of 5
	NumberText           QuirkCode = "numberText"           // 5 instead of "5"
	BareValue            QuirkCode = "bareValue"            // "x" instead of {"value":"x"}
	WrappedValue         QuirkCode = "wrappedValue"         // {"value":"x"} instead of "x", for a reference
	NotAList             QuirkCode = "notAList"             // one value instead of a list of one
	ListOfOne            QuirkCode = "listOfOne"            // a list of one instead of the value
	EmptyText            QuirkCode = "emptyText"            // "" instead of no value, for what cannot be ""
	DuplicateValue       QuirkCode = "duplicateValue"       // the same value twice in a list
	SecondPrimary        QuirkCode = "secondPrimary"        // two values that are primary
	EncodedRole          QuirkCode = "encodedRole"          // a role as JSON within a string
	UnknownAttribute     QuirkCode = "unknownAttribute"     // an attribute that no schema has; left out
	ReadOnlyIgnored      QuirkCode = "readOnlyIgnored"      // a read-only attribute among others; left out
	UnknownSchema        QuirkCode = "unknownSchema"        // a URN in schemas that is not known; left out
	MissingSchema        QuirkCode = "missingSchema"        // a URN is not in schemas and should be
	DottedName           QuirkCode = "dottedName"           // "name.givenName" as the name of a member
	QualifiedName        QuirkCode = "qualifiedName"        // "urn:…:User:department" as the name of a member
	DottedURN            QuirkCode = "dottedURN"            // "urn:…:User.department" instead of a colon
	UnqualifiedExtension QuirkCode = "unqualifiedExtension" // "manager" without its URN
	EmptyPath            QuirkCode = "emptyPath"            // "path": ""
	RemoveWithValue      QuirkCode = "removeWithValue"      // a removal that lists what to remove
	ReplaceWithNull      QuirkCode = "replaceWithNull"      // a replacement by nothing, which is a removal
	Unusable             QuirkCode = "unusable"             // a value in a server's answer that has the wrong type
	SingleOperation      QuirkCode = "singleOperation"      // Operations is one object instead of a list
)

// quirks collects; nil collects nothing.
type quirks struct {
	list []Quirk
}

// The most quirks that are reported of one request. A hostile one could hold a million.
const maxQuirks = 100

func (q *quirks) add(code QuirkCode, text string) {
	if q != nil && len(q.list) < maxQuirks {
		q.list = append(q.list, Quirk{code, text})
	}
}
