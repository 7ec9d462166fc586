package mapping

import (
	"slices"
	"strconv"

	"dirsync"
)

// entraChecker finds the mistakes of an expression before it is run.
type entraChecker struct {
	program   *entraProgram
	property  func(name string) (dirsync.Field, string)
	functions map[string]*entraFunction
}

// check checks a part. condition says that it is one, as the first argument of IIF is.
func (ck *entraChecker) check(n *entraNode, depth int, condition bool) *entraError {
	switch n.kind {
	case entraAttribute:
		return ck.attribute(n)
	case entraComparison:
		if !condition {
			return entraErrorAt(n.at, "", "a comparison with %s can only stand in IIF and CBool", n.text)
		}
		for _, a := range n.args {
			if err := ck.check(a, depth, false); err != nil {
				return err
			}
		}
	case entraCall:
		return ck.call(n, depth)
	}
	return nil
}

func (ck *entraChecker) call(n *entraNode, depth int) *entraError {
	f := ck.functions[n.text]
	if f == nil {
		names := make([]string, 0, len(ck.functions))
		for name := range ck.functions {
			names = append(names, name)
		}
		slices.Sort(names)
		return entraErrorAt(n.at, didYouMean(n.text, names), "there is no function %s", n.text)
	}
	if f.refused != "" {
		return entraErrorAt(n.at, f.hint, "%s cannot be used: %s", n.text, f.refused)
	}
	n.function = f
	if got := len(n.args); got < f.least || f.most >= 0 && got > f.most {
		return entraErrorAt(n.at, "write "+f.usage, "%s cannot be called with %d values", n.text, got)
	}
	for i, a := range n.args {
		if a.kind == entraOmitted && !f.mayOmit(i) {
			return entraErrorAt(a.at, "write "+f.usage, "value %d of %s is missing", i+1, n.text)
		}
		if err := ck.check(a, depth+1, f.condition && i == 0); err != nil {
			return err
		}
	}
	if n.text == "Redact" {
		ck.program.redacted = true
	}
	if f.check != nil {
		return f.check(n)
	}
	return nil
}

// entraNames are the names that attributes have in Microsoft's own provisioning, where they differ from Graph's.
func entraNames() map[string]string {
	names := map[string]string{
		"objectId": "id", "mobile": "mobilePhone", "telephoneNumber": "businessPhones",
		"physicalDeliveryOfficeName": "officeLocation", "facsimileTelephoneNumber": "faxNumber", "l": "city", "st": "state",
		"immutableId": "onPremisesImmutableId", "dirSyncEnabled": "onPremisesSyncEnabled",
		"originalUserPrincipalName": "userPrincipalName", "onPremisesSecurityIdentifier": "onPremisesSecurityIdentifier",
	}
	for i := 1; i <= 15; i++ {
		name := "extensionAttribute" + strconv.Itoa(i)
		names[name] = "onPremisesExtensionAttributes/" + name
	}
	return names
}

// isSoftDeleted is Entra's attribute that tells whom an application must deactivate. Whoever is deleted is not mapped
// at all, so that it comes down to being blocked from signing in.
const isSoftDeleted = "IsSoftDeleted"

func (ck *entraChecker) attribute(n *entraNode) *entraError {
	name := n.text
	f, refused := ck.property(name)
	if other := entraNames()[name]; refused != "" && other != "" {
		if g, no := ck.property(other); no == "" {
			name, f, refused = other, g, ""
		}
	}
	if refused != "" && n.text == isSoftDeleted {
		if g, no := ck.property("accountEnabled"); no == "" && g.Type == dirsync.Boolean {
			name, f, refused, n.flipped = "accountEnabled", g, "", true
		}
	}
	if refused != "" {
		message, hint := splitRefusal(refused)
		return entraErrorAt(n.at, hint, "%s", message)
	}
	n.property = &typedProperty{*newProperty(name), f}
	if !slices.ContainsFunc(ck.program.reads, func(p *property) bool { return p.name == name }) {
		ck.program.reads = append(ck.program.reads, newProperty(name))
		ck.program.fields = append(ck.program.fields, f)
	}
	return nil
}

// gives is the type of what a part gives, as far as it is known before it is run: a list, or else text, in which
// Entra's language writes numbers, dates and truth as well.
func (n *entraNode) gives() dirsync.Type {
	switch n.kind {
	case entraAttribute:
		if n.property.field.Type == dirsync.TextList {
			return dirsync.TextList
		}
	case entraCall:
		if n.function.list {
			return dirsync.TextList
		}
		results := n.function.results(n.args)
		for _, a := range results {
			if a.kind != entraOmitted && a.gives() != dirsync.TextList {
				return dirsync.Text
			}
		}
		if len(results) > 0 {
			return dirsync.TextList
		}
	}
	return dirsync.Text
}
