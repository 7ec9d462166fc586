package graph

import "testing"

func TestRefusal(t *testing.T) {
	const prefix = `{"error":{"code":"Request_BadRequest","message":"`
	for name, test := range map[string]struct {
		body, property      string
		duplicate, password bool
		holder              string
	}{
		"a detail": {body: prefix + `Another object with the same value for property userPrincipalName already exists.","details":[{"code":"ObjectConflict","message":"x","target":"userPrincipalName"},` +
			`{"code":"ConflictingObjects","message":"x","target":"User_AAAAAAAA-2222-4333-8444-555555555555"}]}}`, property: "userPrincipalName", duplicate: true, holder: "aaaaaaaa-2222-4333-8444-555555555555"},
		"a message":                {body: prefix + `Another object with the same value for property proxyAddresses already exists."}}`, property: "proxyAddresses", duplicate: true},
		"a vague one":              {body: prefix + `A conflicting object with one or more of the specified property values is present in the directory."}}`, duplicate: true},
		"a password":               {body: prefix + `The specified password does not comply with password complexity requirements. Please provide a different password."}}`, password: true},
		"a property in quotes":     {body: prefix + `Invalid value specified for property 'mobilePhone' of resource 'User'."}}`, property: "mobilePhone"},
		"a property that is bad":   {body: prefix + `Property usageLocation is invalid."}}`, property: "usageLocation"},
		"the domain":               {body: prefix + `The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in your organization."}}`, property: "userPrincipalName"},
		"no property":              {body: prefix + `The property is of no value, and the properties are not either."}}`},
		"a holder that is none":    {body: prefix + `x","details":[{"code":"ConflictingObjects","target":"User_me"}]}}`},
		"nothing that can be read": {body: `<html>`},
		"another form":             {body: `{"error":{"code":7,"message":null,"details":"x"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := parseRefusal([]byte(test.body))
			if got := r.property(); got != test.property {
				t.Errorf("got property %q, want %q", got, test.property)
			}
			if got := r.duplicate(); got != test.duplicate {
				t.Errorf("a duplicate: got %v, want %v", got, test.duplicate)
			}
			if got := r.aboutPassword(); got != test.password {
				t.Errorf("about the password: got %v, want %v", got, test.password)
			}
			if got := r.holder(); got != test.holder {
				t.Errorf("got holder %q, want %q", got, test.holder)
			}
		})
	}
}
