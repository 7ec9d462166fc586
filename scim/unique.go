package scim

// UniqueValue is a value that no other resource may have.
type UniqueValue struct {
	// Path is the attribute, in the standard's form.
	Path Path
	// Key is the same for values that are the same to the schema: in one letter case unless the attribute is caseExact.
	Key string
}

// UniqueValues returns what must be unique of a resource, for the index of a store: the values of all attributes whose
// uniqueness is server or global, in the order of the schemas. The id is not among them.
func (t *ResourceType) UniqueValues(o *Object) []UniqueValue {
	var all []UniqueValue
	t.each(func(urn string, a *Attribute) {
		v, _ := holder(o, urn).Get(a.Name)
		if a.Name == "id" && urn == "" || empty(v) {
			return
		}
		path := Path{URN: urn, Name: a.Name}
		if a.Type != Complex {
			all = a.unique(all, path, v)
			return
		}
		list, many := v.([]any)
		if !many {
			list = []any{v}
		}
		for i := range a.SubAttributes {
			sub := &a.SubAttributes[i]
			path.Sub = sub.Name
			for _, e := range list {
				if p, ok := part(e, sub); ok {
					all = sub.unique(all, path, p)
				}
			}
		}
	})
	return all
}

func (a *Attribute) unique(all []UniqueValue, path Path, v any) []UniqueValue {
	if a.Uniqueness != UniqueServer && a.Uniqueness != UniqueGlobal || empty(v) {
		return all
	}
	list, many := v.([]any)
	if !many {
		list = []any{v}
	}
	for _, e := range list {
		var key string
		switch e := e.(type) {
		case string:
			if key = e; !a.CaseExact && a.Type != Binary {
				key = FoldCase(e)
			}
		default:
			b, err := appendValue(nil, e)
			if err != nil {
				continue
			}
			key = string(b)
		}
		all = append(all, UniqueValue{path, key})
	}
	return all
}
