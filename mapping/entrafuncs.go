package mapping

import (
	"slices"
)

// entraFunction is a function of Entra's language.
type entraFunction struct {
	usage string
	// least and most are how many values it takes; most below zero is without limit.
	least, most int
	// optional are the values that may be left out between two commas, by index. A function with pairs allows what its
	// check says.
	optional []int
	// condition says that the first value may be a comparison, and list that the result is a list.
	condition, list bool
	// refused says why the function cannot be used, and hint what to use instead.
	refused, hint string
	// check finds further mistakes in a call.
	check func(n *entraNode) *entraError
	// branches returns those arguments of which one is the result; nil when the result is made of them.
	branches func(args []*entraNode) []*entraNode
	run      func(x *entraRun, args []*entraNode) (entraValue, error)
}

func (f *entraFunction) mayOmit(i int) bool { return slices.Contains(f.optional, i) }

func (f *entraFunction) results(args []*entraNode) []*entraNode {
	if f.branches == nil {
		return nil
	}
	return f.branches(args)
}

// arg returns an argument, or one that is left out when the call has fewer.
func arg(args []*entraNode, i int) *entraNode {
	if i < len(args) {
		return args[i]
	}
	return &entraNode{kind: entraOmitted}
}

func given(args []*entraNode, i int) bool { return arg(args, i).kind != entraOmitted }

const (
	clockRefusal  = "its result changes with the clock, and a plan must come out the same whenever it is made"
	randomRefusal = "its result is another one every time, so every user would be updated at every run"
)

// entraFunctions are all functions of Microsoft's reference (2024-08). They are described there; what it leaves open is
// said here, at each function.
func entraFunctions() map[string]*entraFunction {
	all := func(args []*entraNode) []*entraNode { return args }
	return map[string]*entraFunction{
		"Append":                  {usage: `Append([attribute], "suffix")`, least: 2, most: 2, run: entraAppend},
		"BitAnd":                  {usage: "BitAnd(value1, value2)", least: 2, most: 2, run: entraBitAnd},
		"CBool":                   {usage: "CBool([a] = [b])", least: 1, most: 1, condition: true, run: entraCBool},
		"CDate":                   {usage: "CDate([attribute])", least: 1, most: 1, run: entraCDate},
		"Coalesce":                {usage: `Coalesce([a], [b], "default")`, least: 1, most: -1, branches: all, run: entraCoalesce},
		"ConvertToBase64":         {usage: "ConvertToBase64([attribute])", least: 1, most: 1, run: entraBase64},
		"ConvertToUTF8Hex":        {usage: "ConvertToUTF8Hex([attribute])", least: 1, most: 1, run: entraHex},
		"Count":                   {usage: "Count([attribute])", least: 1, most: 1, run: entraCount},
		"CStr":                    {usage: "CStr([attribute])", least: 1, most: 1, run: entraCStr},
		"DateAdd":                 {usage: `DateAdd("d", 7, CDate([attribute]))`, least: 3, most: 3, check: checkInterval, run: entraDateAdd},
		"DateDiff":                {usage: `DateDiff("d", CDate([a]), CDate([b]))`, least: 3, most: 3, check: checkInterval, run: entraDateDiff},
		"DateFromNum":             {usage: "DateFromNum([attribute])", least: 1, most: 1, run: entraDateFromNum},
		"FormatDateTime":          {usage: `FormatDateTime([attribute], , "yyyy-MM-dd", "dd/MM/yyyy")`, least: 4, most: 4, optional: []int{1}, check: checkFormats, run: entraFormatDateTime},
		"IgnoreFlowIfNullOrEmpty": {usage: "IgnoreFlowIfNullOrEmpty([attribute])", least: 1, most: 1, branches: all, run: entraIgnoreFlow},
		"IIF":                     {usage: `IIF([a] = "x", "yes", "no")`, least: 3, most: 3, condition: true, check: checkIIF, branches: func(a []*entraNode) []*entraNode { return a[1:] }, run: entraIIF},
		"InStr":                   {usage: `InStr([attribute], "text", 1, vbBinaryCompare)`, least: 2, most: 4, optional: []int{2, 3}, check: checkCompareType, run: entraInStr},
		"IsNull":                  {usage: "IsNull([attribute])", least: 1, most: 1, run: entraIsNull},
		"IsNullOrEmpty":           {usage: "IsNullOrEmpty([attribute])", least: 1, most: 1, run: entraIsNullOrEmpty},
		"IsPresent":               {usage: "IsPresent([attribute])", least: 1, most: 1, run: entraIsPresent},
		"IsString":                {usage: "IsString([attribute])", least: 1, most: 1, run: entraIsString},
		"Item":                    {usage: "Item([attribute], 1)", least: 2, most: 2, run: entraItem},
		"Join":                    {usage: `Join(" ", [a], [b])`, least: 2, most: -1, run: entraJoin},
		"Left":                    {usage: "Left([attribute], 3)", least: 2, most: 2, run: entraLeft},
		"Mid":                     {usage: "Mid([attribute], 1, 3)", least: 3, most: 3, run: entraMid},
		"NormalizeDiacritics":     {usage: "NormalizeDiacritics([attribute])", least: 1, most: 1, run: onEntraText(withoutDiacritics)},
		"Not":                     {usage: "Not([attribute])", least: 1, most: 1, run: entraNot},
		"NumFromDate":             {usage: "NumFromDate([attribute])", least: 1, most: 1, run: entraNumFromDate},
		"PCase":                   {usage: `PCase([attribute], " -")`, least: 1, most: 2, optional: []int{1}, run: entraPCase},
		"Redact":                  {usage: "Redact([attribute])", least: 1, most: 1, branches: all, run: func(x *entraRun, a []*entraNode) (entraValue, error) { return x.value(a[0]) }},
		"RemoveDuplicates":        {usage: "RemoveDuplicates([attribute])", least: 1, most: 1, list: true, run: entraRemoveDuplicates},
		"Replace":                 {usage: `Replace([attribute], "old", , , "new", , )`, least: 2, most: 7, optional: []int{1, 2, 3, 4, 5, 6}, check: checkReplace, run: entraReplace},
		"Split":                   {usage: `Split([attribute], ",")`, least: 2, most: 2, list: true, run: entraSplit},
		"StripSpaces":             {usage: "StripSpaces([attribute])", least: 1, most: 1, run: onEntraText(stripSpaces)},
		"Switch":                  {usage: `Switch([attribute], "default", "key", "value")`, least: 4, most: -1, optional: []int{1}, check: checkSwitch, branches: switchBranches, run: entraSwitch},
		"ToLower":                 {usage: "ToLower([attribute])", least: 1, most: 2, optional: []int{1}, check: checkCulture, run: entraToLower},
		"ToUpper":                 {usage: "ToUpper([attribute])", least: 1, most: 2, optional: []int{1}, check: checkCulture, run: entraToUpper},
		"Word":                    {usage: `Word([attribute], 1, " ")`, least: 3, most: 3, run: entraWord},

		"SingleAppRoleAssignment":            {usage: "SingleAppRoleAssignment([appRoleAssignments])", least: 1, most: 1, run: entraSingleRole},
		"AppRoleAssignmentsComplex":          {usage: "AppRoleAssignmentsComplex([appRoleAssignments])", least: 1, most: 1, list: true, run: entraAsList},
		"AssertiveAppRoleAssignmentsComplex": {usage: "AssertiveAppRoleAssignmentsComplex([appRoleAssignments])", least: 1, most: 1, list: true, run: entraAsList},

		"Now":               {refused: clockRefusal, hint: "compare with a fixed date, or filter where the users are used"},
		"Guid":              {refused: randomRefusal, hint: "use [objectId], which is unique and stays the same"},
		"RandomString":      {refused: randomRefusal, hint: "leave initial passwords to the target"},
		"SelectUniqueValue": {refused: "it has to ask the target, which a mapping never does", hint: "map one rule; a value that somebody else has is reported for that person"},
	}
}
