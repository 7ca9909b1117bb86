from marshmallow import Schema, fields


class AddressSchema(Schema):
    town = fields.String(required=True)
