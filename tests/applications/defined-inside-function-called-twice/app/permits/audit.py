from sqlalchemy import Column, DateTime, Integer, String, event, func


def install_audit(base, who):
    class AuditRecord(base):
        __tablename__ = "audit_records"

        id = Column(Integer, primary_key=True)
        at = Column(DateTime, server_default=func.now())
        who = Column(String(40), nullable=False)
        table = Column(String(40), nullable=False)
        row = Column(Integer)

    def record(mapper, connection, target):
        if not isinstance(target, AuditRecord):
            row = {"who": who, "table": mapper.local_table.name, "row": target.id}
            connection.execute(AuditRecord.__table__.insert().values(row))

    event.listen(base, "after_insert", record, propagate=True)
    return AuditRecord
