package graphtest

import (
	"slices"
	"strings"
)

// createRoles are the application permissions each of which suffices to create users (Graph reference, user: create).
func createRoles() []string {
	return []string{"User.Create", "User.ReadWrite.All", "Directory.ReadWrite.All"}
}

// deleteRoles are those for deleting users and bringing them back (Graph reference, user: delete; restore deleted item).
func deleteRoles() []string { return []string{"User.DeleteRestore.All", "User.ReadWrite.All"} }

// managerRoles are those for the link to the manager (Graph reference, user: assign manager).
func managerRoles() []string { return []string{"User.ReadWrite.All", "Directory.ReadWrite.All"} }

// domainRoles are those for reading domains (Graph reference, list domains).
func domainRoles() []string {
	return []string{"Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

// The permissions for groups (Graph reference, group: create, update, delete, add members). Group.Create is for creating
// alone.
func groupCreateRoles() []string {
	return []string{"Group.Create", "Group.ReadWrite.All", "Directory.ReadWrite.All"}
}

func groupUpdateRoles() []string { return []string{"Group.ReadWrite.All", "Directory.ReadWrite.All"} }

func groupDeleteRoles() []string { return []string{"Group.ReadWrite.All"} }

func memberRoles() []string {
	return []string{"GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"}
}

// assignableRole is what it takes besides to change a group to which administrators' roles can be assigned.
const assignableRole = "RoleManagement.ReadWrite.Directory"

// mayUpdate tells whether a property of users can be changed (Graph reference, user: update). Some have a permission of
// their own, which suffices for them alone and mostly beside one to read users; two have nothing but that.
func (q *request) mayUpdate(name string) bool {
	all := q.has([]string{"User.ReadWrite.All", "Directory.ReadWrite.All"})
	reads := q.has(userRoles())
	own := func(role string) bool { return slices.Contains(q.roles, role) }
	switch name {
	case "accountEnabled":
		return all || reads && own("User.EnableDisableAccount.All")
	case "otherMails":
		return all || own("User-Mail.ReadWrite.All")
	case "businessPhones", "mobilePhone":
		return all || own("User-Phone.ReadWrite.All")
	case "passwordProfile":
		return all || own("User-PasswordProfile.ReadWrite.All")
	case "employeeLeaveDateTime":
		return reads && own("User-LifeCycleInfo.ReadWrite.All")
	case "identities":
		return own("User.ManageIdentities.All")
	}
	return all || own("User.ReadUpdate.All")
}

// sensitive tells the properties whose change is a sensitive action when the user is an administrator (Graph reference,
// "Who can perform sensitive actions").
func sensitive(name string) bool {
	switch name {
	case "accountEnabled", "businessPhones", "mobilePhone", "onPremisesImmutableId", "otherMails", "passwordProfile", "userPrincipalName":
		return true
	}
	return false
}

// shielded tells whether a user is an administrator on whom the application cannot perform sensitive actions.
func (q *request) shielded(id string) bool {
	return !q.t.AppAdministrator && slices.ContainsFunc(q.t.Administrators, func(a string) bool { return strings.EqualFold(a, id) })
}
