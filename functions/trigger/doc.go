// Package trigger turns messages that other systems send to the submit queue into jobs.
//
//	jobs.Trigger(
//		trigger.ObjectCreated("photo.shrink", trigger.ObjectPrefix("in/")),
//		trigger.FromCloudEvent("com.example.Contact.Changed", "crm.contact"),
//		trigger.JSONBody("shop.order", trigger.KeyFrom("order.id"), functions.Queue("orders")),
//	)
//
// [functions.Registry.Trigger] says which messages triggers get to see, in what order they are
// asked, and what becomes of a message that belongs to none of them. To try one without a broker,
// send a message with SubmitMessage of a localdev.Stack or, in a test, with Message of a kit.Kit.
//
// trigger.go has what all triggers share and FromMessage, options.go the options, json.go JSONBody
// and FromCloudEvent. created.go has ObjectCreated and object.go its arguments. s3.go, gcs.go and
// azure.go read the notifications of each store.
package trigger
